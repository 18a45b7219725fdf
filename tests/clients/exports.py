"""The ledger of the town, exported, as a data analyst reads it: DuckDB guesses the types and adds up.

Run once, after the clients: what they used is what there is to add up.
"""

import csv
import json

import duckdb
from town import expect

# What each type of the schema is in DuckDB, guessed from CSV and from JSON.
GUESSES = {
    "integer": {"BIGINT"},
    "boolean": {"BOOLEAN"},
    "date": {"DATE"},
    # A year of four digits and a UUID are guessed to be more than the texts they are.
    "text": {"VARCHAR", "BIGINT", "UUID"},
}
DECLARED = {"integer": "BIGINT", "boolean": "BOOLEAN", "date": "DATE", "text": "VARCHAR"}


def check(town):
    """Exports the ledger in both forms and reads it in every way that the README names."""
    files = {form: town.folder / f"ledger.{form}" for form in ("csv", "jsonl")}
    for form, path in files.items():
        path.write_text(town.command("ledger", "export", "--format", form, "--config", town.config), encoding="utf-8")
    columns = json.loads(town.command("ledger", "schema", "--format", "json"))
    with files["csv"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expect(len(rows) > 1, f"the clients left {len(rows)} entries")
    expect(list(rows[0]) == [column["name"] for column in columns], "the header is not the schema's columns")
    sums = {
        column["name"]: sum(int(row[column["name"]]) for row in rows if row[column["name"]])
        for column in columns
        if column["type"] == "integer"
    }
    filled = {column["name"] for column in columns if any(row[column["name"]] for row in rows)}
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        csv_guess = f"read_csv_auto('{files['csv']}')"
        json_guess = f"read_json_auto('{files['jsonl']}', sample_size = -1)"
        compare(database, csv_guess, columns, filled, sums, len(rows), lambda name: f'"{name}"', GUESSES)
        compare(database, json_guess, columns, filled, sums, len(rows), lambda name: name, GUESSES)
        database.execute(town.command("ledger", "schema", "--format", "sql"))
        database.execute(f"COPY ledger FROM '{files['csv']}' (HEADER)")
        declared = {kind: {name} for kind, name in DECLARED.items()}
        every = {column["name"] for column in columns}
        compare(database, "ledger", columns, every, sums, len(rows), lambda name: f'"{name}"', declared)


def compare(database, table, columns, filled, sums, count, expression, types):
    """Types and sums of every column that holds anything, however the table came to be."""
    found = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    expect(found == count, f"{table}: {found} rows instead of {count}")
    for column in (column for column in columns if column["name"] in filled):
        name, path = column["name"], expression(column["name"])
        kind = database.execute(f"SELECT typeof({path}) FROM {table} WHERE {path} IS NOT NULL LIMIT 1").fetchone()
        expect(
            kind is None or kind[0] in types[column["type"]],
            f"{table}: {name} is {kind and kind[0]} and not {column['type']}",
        )
        if column["type"] == "integer":
            total = database.execute(f"SELECT coalesce(sum({path}), 0) FROM {table}").fetchone()[0]
            expect(total == sums[name], f"{table}: {name} adds up to {total} instead of {sums[name]}")


def check_repricing(town):
    """Under the list in force a period costs what was booked, to the nano."""
    found = json.loads(town.command("reprice", "--format", "json", "--from", "2026-01-01", "--config", town.config))
    expect(found["rows"], "no row was repriced")
    for row in found["rows"]:
        nothing = {"nanos": 0, "euro_nanos": 0}
        expect(row["difference"] == nothing, f"{row['provider']}/{row['model']}: {row['difference']}")
        expect(row["unpriced"] == 0 and row["no_usage"] == 0, f"{row['model']} could not be recomputed")
