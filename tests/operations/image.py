#!/usr/bin/env python3
"""The image of deploy/Containerfile without a container engine: the same files, and nothing else, as a root of their own.

What is looked at: the program is static; it serves as a user without a name, from a root that it cannot write to; it finds
a vendor's name by DNS and by /etc/hosts; it knows a vendor by the certificates of the image, and by nothing else; its own
health check tells the truth; it ends as it should when it is asked to.

Needs root (a network and mounts of its own), unshare, ip, openssl. Vendors are simulated, behind TLS, on loopback.

Usage: tests/operations/image.py --program FILE [--keep]

Example: tests/operations/image.py --program target/static/x86_64-unknown-linux-gnu/release/passerelle

Exit: 0 all held, 64 wrong usage, 69 not as root, otherwise something did not hold.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
USER = 10001
VENDORS = {"openai": ("api.openai.test", 9101, 9443), "mistral": ("api.mistral.test", 9102, 9444)}
MODELS = ("gpt-6-luna", "mistral-small-latest")
# By its path: the environment is empty inside, and must be on the way there.
CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"
PROGRAM = "/usr/bin/passerelle"
DEVICES = ("null", "random", "urandom")
CONFIG = "/etc/passerelle/passerelle.toml"


def check(what: str, held: bool, seen: object = "") -> None:
    print(f"{'ok' if held else 'FAILED'}: {what}" + (f" ({seen})" if seen != "" else ""), flush=True)
    if not held:
        sys.exit(1)


def run(*command: object, **more: object) -> str:
    done = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True, **more)
    return done.stdout


# ----------------------------------------------------------------------------------------------- what stands around it


def answer_names(queries: list[str]) -> None:
    """A name server on 127.0.0.1:53 that knows the vendors, and notes what it was asked."""
    names = {name for name, _, _ in VENDORS.values()}
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def serve() -> None:
        while True:
            query, client = server.recvfrom(512)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += 1 + query[at]
            question, kind = query[12 : at + 5], int.from_bytes(query[at + 1 : at + 3])
            name = ".".join(labels)
            queries.append(name)
            known = name in names
            answers = 1 if known and kind == 1 else 0
            head = query[:2] + (0x8180 if known else 0x8183).to_bytes(2) + b"\0\1" + answers.to_bytes(2) + b"\0\0\0\0"
            record = b"\xc0\x0c\0\1\0\1\0\0\0\x05\0\x04" + socket.inet_aton("127.0.0.1")
            server.sendto(head + question + record * answers, client)

    threading.Thread(target=serve, daemon=True).start()


def speak_tls(folder: pathlib.Path) -> pathlib.Path:
    """TLS in front of both simulated vendors; gives the authority's certificate."""
    quiet = {"stderr": subprocess.DEVNULL, "cwd": folder}
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run("openssl", "req", "-x509", *new_key, "-days", 2, "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem",
        "-addext", "keyUsage=critical,keyCertSign", **quiet)
    (folder / "names").write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name, _, _ in VENDORS.values()))
    run("openssl", "req", *new_key, "-subj", "/CN=vendors", "-keyout", "vendor.key", "-out", "vendor.csr", **quiet)
    run("openssl", "x509", "-req", "-in", "vendor.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", 2, "-extfile", "names",
        "-out", "vendor.pem", **quiet)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "vendor.pem", folder / "vendor.key")
    for _, plain, secret in VENDORS.values():
        listener = socket.create_server(("127.0.0.1", secret))
        threading.Thread(target=accept, args=(listener, context, plain), daemon=True).start()
    return folder / "ca.pem"


def accept(listener: socket.socket, context: ssl.SSLContext, plain: int) -> None:
    while True:
        client, _ = listener.accept()
        threading.Thread(target=pass_on, args=(client, context, plain), daemon=True).start()


def pass_on(client: socket.socket, context: ssl.SSLContext, plain: int) -> None:
    """One connection: decrypted to the simulator and back."""
    with contextlib.suppress(OSError):
        inside = context.wrap_socket(client, server_side=True)
        vendor = socket.create_connection(("127.0.0.1", plain))
        # One thread a direction: a TLS socket may be read and written at once by two.
        threading.Thread(target=copy, args=(inside, vendor), daemon=True).start()
        copy(vendor, inside)


def copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_RDWR)


# ------------------------------------------------------------------------------------------------------- the image


class Image:
    """The files of the image under a folder, used as its root by a process without rights."""

    def __init__(self, folder: pathlib.Path, program: pathlib.Path) -> None:
        self.root, self.state = folder / "root", folder / "state"
        for path in ("dev", "usr/bin", "etc/passerelle", "etc/ssl/certs", "tmp", "proc", "var/lib/passerelle"):
            (self.root / path).mkdir(parents=True)
        shutil.copy(program, self.root / PROGRAM[1:])
        shutil.copy(ROOT / "deploy/container.toml", self.root / CONFIG[1:])
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", self.root / "etc/ssl/certs/ca-certificates.crt")
        # Every container engine gives these, and a static program takes chance from them.
        for name in DEVICES:
            (self.root / "dev" / name).touch()
        self.state.mkdir(mode=0o700)
        os.chown(self.state, USER, USER)

    def mount(self) -> None:
        """Read-only but for the volume and /tmp, as `docker run --read-only --tmpfs /tmp` does."""
        run("mount", "--bind", self.root, self.root)
        run("mount", "-t", "proc", "proc", self.root / "proc")
        for name in DEVICES:
            run("mount", "--bind", f"/dev/{name}", self.root / "dev" / name)
        run("mount", "-t", "tmpfs", "-o", "size=64m,mode=1777", "tmpfs", self.root / "tmp")
        run("mount", "--bind", self.state, self.root / "var/lib/passerelle")
        run("mount", "-o", "remount,ro,bind", self.root)

    @contextlib.contextmanager
    def writable(self):
        run("mount", "-o", "remount,rw,bind", self.root)
        yield self.root
        run("mount", "-o", "remount,ro,bind", self.root)

    def command(self, *arguments: str) -> list[str]:
        return [CHROOT, f"--userspec={USER}:{USER}", str(self.root), PROGRAM, *arguments]

    def environment(self) -> dict[str, str]:
        bases = {f"{key.upper()}_BASE_URL": f"https://{name}:{port}/v1" for key, (name, _, port) in VENDORS.items()}
        # Any host, because the simulated ones are in the place of the hosts outside the Union.
        return {"OPENAI_API_KEY": "k1", "MISTRAL_API_KEY": "k2", "PASSERELLE__PLANS__RESIDENT__HOSTS": "any", **bases}

    def health(self, *more: str) -> int:
        command = self.command("healthcheck", "--config", CONFIG, *more)
        return subprocess.run(command, env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    @contextlib.contextmanager
    def serving(self):
        log = (self.state.parent / "log").open("a")
        process = subprocess.Popen(self.command("serve", "--config", CONFIG), env=self.environment(), stdout=log, stderr=log)
        try:
            for _ in range(600):
                if self.health("--ready") == 0:
                    break
                check("it serves", process.poll() is None, process.returncode)
                time.sleep(0.05)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(60)


def ask(key: str, model: str, stream: bool) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Bonjour"}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def prove(program: pathlib.Path, folder: pathlib.Path) -> None:
    run("ip", "link", "set", "lo", "up")
    kind = run("file", "--brief", program)
    check("the program is static", "statically linked" in kind or "static-pie linked" in kind, kind.split(", BuildID")[0].strip())
    check("its size", program.stat().st_size < 40_000_000, f"{program.stat().st_size / 1e6:.1f} MB")
    queries: list[str] = []
    answer_names(queries)
    authority = speak_tls(folder)
    simulators = []
    for dialect, (_, plain, _) in VENDORS.items():
        command = [program, "simulate", "--dialect", dialect, "--listen", f"127.0.0.1:{plain}", "--fast"]
        simulators.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
        simulators[-1].stdout.readline()
    image = Image(folder, program)
    (image.root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    image.mount()
    check("nobody serves yet, and its health check says so", image.health() == 1)

    with image.serving():
        check("it is alive and ready", image.health() == 0 and image.health("--ready") == 0)
        issue = image.command("keys", "issue", "--config", CONFIG, "--plan", "resident")
        key = run(*issue, env=image.environment()).strip()
        status, _ = ask(key, MODELS[0], False)
        check("a vendor whose certificate the image does not know is not spoken to", status == 502, status)
        check("its name was asked of the name server", VENDORS["openai"][0] in queries, sorted(set(queries)))

    with image.writable() as root, (root / "etc/ssl/certs/ca-certificates.crt").open("a") as file:
        file.write(authority.read_text())
    with image.serving() as process:
        for model in MODELS:
            status, text = ask(key, model, False)
            check(f"{model} answers", status == 200, status if status == 200 else text)
            status, text = ask(key, model, True)
            check(f"{model} streams to the end", status == 200 and "data: [DONE]" in text)
        check("both names were asked of the name server", {name for name, _, _ in VENDORS.values()} <= set(queries))
        memory = next(line for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines() if "VmRSS" in line)
        check("memory", True, " ".join(memory.split()[1:]))

    asked = len(queries)
    with image.writable() as root:
        (root / "etc/resolv.conf").unlink()
        (root / "etc/hosts").write_text("".join(f"127.0.0.1 {name}\n" for name, _, _ in VENDORS.values()))
    with image.serving() as process:
        status, text = ask(key, MODELS[1], False)
        check("a name from /etc/hosts is found without a name server", status == 200 and len(queries) == asked, status)
        process.send_signal(signal.SIGTERM)
        check("asked to stop, it ends well", process.wait(60) == 0)
    files = sorted(path.name for path in image.state.iterdir())
    check("what it wrote is on the volume", "ledger.sqlite" in files and "secret" in files, files)
    for simulator in simulators:
        simulator.terminate()
        simulator.wait(30)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, required=True, help="the static program")
    parser.add_argument("--keep", action="store_true", help="leave the folder for a look")
    parser.add_argument("--inside", type=pathlib.Path, help=argparse.SUPPRESS)
    try:
        arguments = parser.parse_args()
    except SystemExit as wrong:
        return 0 if wrong.code == 0 else 64
    if arguments.inside:
        prove(arguments.program, arguments.inside)
        return 0
    if os.geteuid() != 0:
        print("image.py: a root and a network of its own are made: run it as root", file=sys.stderr)
        return 69
    folder = pathlib.Path(tempfile.mkdtemp(prefix="passerelle-image-"))
    folder.chmod(0o755)
    program = arguments.program.resolve()
    # With it end the mounts, the network and every process in there.
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-B", __file__]
    try:
        code = subprocess.run([*command, "--program", str(program), "--inside", str(folder)]).returncode
        log = folder / "log"
        if code and log.exists():
            print(log.read_text(), file=sys.stderr)
        return code
    finally:
        if arguments.keep:
            print(f"kept in {folder}")
        else:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
