"""Checks with llm, by its own command line and by its Python interface."""

import json
import os
import subprocess
import sys
from pathlib import Path

from checks import (
    BASE_URL,
    COUNTED_URL,
    QUESTION,
    SAMPLES,
    SCHEMA,
    TIMEOUT,
    TOWN,
    Answer,
    Failure,
    Vendor,
    check_calls,
    check_never_retried,
    check_raises,
    check_text,
    check_vectors,
    expect,
    other_key,
    png,
    run,
)

# Its settings live in a folder; JSON is YAML too.
FOLDER = Path(TOWN.folder) / "llm"
os.environ["LLM_USER_PATH"] = str(FOLDER)
# Its embedding models have no address in their settings.
os.environ["OPENAI_BASE_URL"] = BASE_URL


def settings():
    able = {"vision": True, "supports_schema": True, "supports_tools": True, "reasoning": True}
    for vendor in map(Vendor, TOWN.vendors):
        base = {"model_name": vendor.chat, "api_base": BASE_URL, "api_key_name": "passerelle", **able}
        yield {**base, "model_id": f"{vendor.name}-chat"}
        yield {**base, "model_id": f"{vendor.name}-responses", "responses": True}
        yield {**base, "model_id": f"{vendor.name}-counted", "api_base": COUNTED_URL}
    yield {**base, "model_id": "nobody", "model_name": "no-such-model"}


FOLDER.mkdir()
(FOLDER / "extra-openai-models.yaml").write_text(json.dumps(list(settings())), encoding="utf-8")
(FOLDER / "keys.json").write_text(json.dumps({"passerelle": TOWN.key}), encoding="utf-8")

# Both read the settings above.
import llm  # noqa: E402
import openai  # noqa: E402


def model(vendor, kind="chat"):
    return llm.get_model(f"{vendor.name}-{kind}")


def command(vendor, *arguments):
    """What `llm` prints, without a log of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "llm", "-m", f"{vendor.name}-chat", "--no-log", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )
    expect(done.returncode == 0, f"exit code {done.returncode}: {done.stderr}")
    return done.stdout


def check_command_line(vendor):
    check_text(command(vendor, "--no-stream", QUESTION))


def check_answer(vendor):
    answer = model(vendor).prompt(QUESTION, stream=False)
    check_text(answer.text())
    usage = answer.usage()
    expect(usage.input and usage.output, f"usage is {usage}")


def check_streamed_command_line(vendor):
    check_text(command(vendor, QUESTION))


def check_streamed(vendor):
    answer = model(vendor).prompt(QUESTION, stream=True)
    parts = list(answer)
    expect(len(parts) > 1, "came in one piece")
    check_text("".join(parts))
    # This client always asks for it.
    usage = answer.usage()
    expect(usage.input and usage.output, f"usage is {usage}")


def tool(name):
    sample = SAMPLES[name]
    return llm.Tool(
        name=sample["name"],
        description=sample["description"],
        input_schema=sample["parameters"],
        implementation=lambda **_: SAMPLES["tool_result"],
    )


def check_conversation(vendor, kind, question, count, stream):
    """The client's own loop: calls, results, answer."""
    called = []
    chain = model(vendor, kind).chain(
        question,
        tools=[tool("tool"), tool("other_tool")],
        stream=stream,
        after_call=lambda _tool, call, _result: called.append((call.tool_call_id, call.name, call.arguments)),
    )
    check_text(chain.text())
    check_calls(called, count)


def check_call_and_result(vendor):
    check_conversation(vendor, "chat", SAMPLES["tool_question"], 1, stream=False)


def check_parallel_calls(vendor):
    check_conversation(vendor, "chat", SAMPLES["parallel_question"], 2, stream=False)


def check_streamed_calls(vendor):
    check_conversation(vendor, "chat", SAMPLES["parallel_question"], 2, stream=True)


def check_tool_without_description(vendor):
    """It leaves as `"description": null`, which Mistral refuses."""
    called = []
    bare = llm.Tool(name="lieux", input_schema={"type": "object", "properties": {}}, implementation=lambda: "annexe")
    chain = model(vendor).chain(
        SAMPLES["tool_question"],
        tools=[bare],
        stream=False,
        after_call=lambda _tool, call, _result: called.append(call),
    )
    check_text(chain.text())
    expect([call.name for call in called] == ["lieux"], f"called {called}")


def check_json_schema(vendor):
    for stream in (False, True):
        answer = model(vendor).prompt(SAMPLES["schema_question"], schema=SCHEMA, stream=stream)
        Answer.model_validate_json(answer.text())


def check_image(vendor):
    image = llm.Attachment(type="image/png", content=png())
    check_text(model(vendor).prompt(SAMPLES["image_question"], attachments=[image], stream=False).text())


def check_effort(vendor):
    check_text(model(vendor).prompt(QUESTION, reasoning_effort="high", stream=False).text())


def check_response(vendor):
    check_text(model(vendor, "responses").prompt(QUESTION, stream=False).text())


def check_streamed_response(vendor):
    check_text(model(vendor, "responses").prompt(QUESTION, stream=True).text())


def check_response_with_tool(vendor):
    check_conversation(vendor, "responses", SAMPLES["tool_question"], 1, stream=True)


def check_embeddings(vendor):
    embedder = llm.get_embedding_model(vendor.embeddings)
    embedder.key = TOWN.key
    check_vectors([list(vector) for vector in embedder.embed_multi(SAMPLES["texts"])], 3, vendor)


def check_wrong_key(vendor):
    call = model(vendor).prompt(QUESTION, key=other_key(TOWN.key), stream=False)
    check_raises(openai.AuthenticationError, call.text)


def check_unknown_model(_vendor):
    call = llm.get_model("nobody").prompt(QUESTION, stream=False)
    check_raises(openai.NotFoundError, call.text)


def check_spent_quota(vendor):
    # With the client's own retries.
    call = model(vendor, "counted").prompt(QUESTION, key=TOWN.spent[vendor.name], stream=False)
    check_never_retried(vendor, openai.RateLimitError, call.text)


def check_message_of_the_command_line(vendor):
    """A person at a terminal reads why, not a traceback."""
    error = check_raises(Failure, lambda: command(vendor, "--key", other_key(TOWN.key), QUESTION))
    expect("Traceback" not in str(error) and "401" in str(error), f"says {error}")


FEATURES = {
    "answer": [check_command_line, check_answer],
    "stream": [check_streamed_command_line, check_streamed],
    "tools": [check_call_and_result, check_parallel_calls, check_streamed_calls, check_tool_without_description],
    "schema": [check_json_schema],
    "image": [check_image],
    "reasoning": [check_effort],
    "responses": [check_response, check_streamed_response, check_response_with_tool],
    "embeddings": [check_embeddings],
    "errors": [check_wrong_key, check_unknown_model, check_spent_quota, check_message_of_the_command_line],
}
LACKS = {
    ("embeddings", "mistral_ai"): "its models are a fixed list of OpenAI's",
    "moderations": "no moderations",
    "audio": "no transcription",
    "models": "lists OpenAI's own models only",
}

if __name__ == "__main__":
    run(FEATURES, LACKS)
