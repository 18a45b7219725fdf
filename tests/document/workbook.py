"""Checks a workbook with LibreOffice: all formulas are computed anew, every sheet is converted to CSV and the whole to PDF.
An error value, a stored result that is not what its formula gives, or a warning is a failure.

python3 workbook.py BOOK.xlsx [FOLDER]
"""

import csv
import math
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

# Values of a cell that went wrong, as LibreOffice writes them.
ERRORS = re.compile(r"^(#[A-Z/0!?]+[!?]?|Err:\d+)$")
# Token 12 of the CSV filter: -1 writes every sheet to a file of its own.
CSV_FILTER = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"
# Said on machines without Java, which a workbook does not need.
HARMLESS = re.compile(r"javaldx")
FORMULA = re.compile(r'<c r="([A-Z]+)(\d+)"[^>]*><f>[^<]*</f><v>([^<]*)</v>')
SHEET = re.compile(r'<sheet name="([^"]+)" sheetId="(\d+)"')


def without_results(book, copy):
    """Copies a workbook without the stored results; returns them as (sheet, row, column): result."""
    stored = {}
    with zipfile.ZipFile(book) as old, zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as new:
        names = {number: name for name, number in SHEET.findall(old.read("xl/workbook.xml").decode())}
        for item in old.namelist():
            data = old.read(item)
            found = re.fullmatch(r"xl/worksheets/sheet(\d+)\.xml", item)
            if found:
                text = data.decode()
                for column, row, result in FORMULA.findall(text):
                    stored[names[found[1]], int(row), column_number(column)] = result
                data = re.sub(r"(</f>)<v>[^<]*</v>", r"\1", text).encode()
            new.writestr(item, data)
    return stored


def column_number(letters):
    """Number of a column, from 1."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def convert(book, target, folder, profile):
    """Converts a workbook; returns what LibreOffice complained about."""
    command = [
        "soffice", f"-env:UserInstallation={profile.as_uri()}", "--headless", "--norestore",
        "--convert-to", target, "--outdir", str(folder), str(book),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    problems = [line for line in run.stderr.splitlines() if line.strip() and not HARMLESS.search(line)]
    if run.returncode != 0:
        problems.append(f"soffice ended with {run.returncode}")
    return problems


def read_sheets(folder, stem):
    """All sheets by name, as lists of lists."""
    sheets = {}
    for file in sorted(folder.glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as lines:
            sheets[file.stem.removeprefix(f"{stem}-")] = list(csv.reader(lines))
    return sheets


def wrong_cells(sheets):
    """Error values of all sheets, with where they are."""
    for name, rows in sheets.items():
        for row, cells in enumerate(rows, start=1):
            for column, cell in enumerate(cells, start=1):
                if ERRORS.match(cell.strip()):
                    yield f"{name}: row {row}, column {column}: {cell}"


def number(text):
    """A number or a percentage; None for anything else."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def wrong_results(sheets, stored):
    """Stored results that are not what their formula gives."""
    for (name, row, column), result in stored.items():
        rows = sheets.get(name, [])
        cell = rows[row - 1][column - 1] if row <= len(rows) and column <= len(rows[row - 1]) else ""
        computed, expected = number(cell), number(result)
        same = computed == expected if None in (computed, expected) else math.isclose(
            computed, expected, rel_tol=1e-6, abs_tol=1e-9)
        if not same:
            yield f"{name}: row {row}, column {column}: {cell!r} is computed, {result!r} is stored"


def check(book, folder):
    """All problems of a workbook, with how many sheets and formulas it has."""
    with tempfile.TemporaryDirectory() as scratch:
        profile = pathlib.Path(scratch) / "profile"
        copy = pathlib.Path(scratch) / book.name
        stored = without_results(book, copy)
        problems = convert(copy, CSV_FILTER, folder, profile)
        problems += convert(copy, "pdf", folder, profile)
    sheets = read_sheets(folder, book.stem)
    problems += wrong_cells(sheets)
    problems += wrong_results(sheets, stored)
    if not sheets:
        problems.append("no sheet was converted")
    if not list(folder.glob("*.pdf")):
        problems.append("no PDF was made")
    return len(sheets), len(stored), problems


def main(arguments):
    """Checks the workbook that is named first."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    book = pathlib.Path(arguments[0]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(arguments[1] if len(arguments) > 1 else scratch) / book.stem
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        sheets, formulas, problems = check(book, folder)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{book.name}: {sheets} sheets, {formulas} formulas, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
