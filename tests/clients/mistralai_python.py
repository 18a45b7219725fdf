"""Checks with Mistral's client for Python."""

import json

from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from checks import (
    QUESTION,
    SAMPLES,
    SCHEMA,
    TIMEOUT,
    TOOLS,
    TOWN,
    Answer,
    check_calls,
    check_never_retried,
    check_raises,
    check_sum,
    check_text,
    check_vectors,
    expect,
    other_key,
    png_url,
    run,
    wav,
)

# This client adds /v1 itself.
CLIENT = Mistral(server_url=TOWN.public, api_key=TOWN.key, timeout_ms=TIMEOUT * 1000)
STRANGER = Mistral(server_url=TOWN.public, api_key=other_key(TOWN.key), timeout_ms=TIMEOUT * 1000)
MESSAGES = [{"role": "user", "content": QUESTION}]


def ask(content, vendor, **options):
    return CLIENT.chat.complete(model=vendor.chat, messages=[{"role": "user", "content": content}], **options)


def check_usage(usage):
    check_sum(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)


def check_plain(vendor):
    # With fields that only Mistral knows.
    answer = ask(QUESTION, vendor, random_seed=7, safe_prompt=True)
    expect(len(answer.choices) == 1, f"{len(answer.choices)} choices")
    check_text(answer.choices[0].message.content)
    expect(answer.choices[0].finish_reason == "stop", f"finish_reason is {answer.choices[0].finish_reason!r}")
    check_usage(answer.usage)


def check_streamed(vendor):
    with CLIENT.chat.stream(model=vendor.chat, messages=MESSAGES) as stream:
        chunks = [event.data for event in stream]
    choices = [choice for chunk in chunks for choice in chunk.choices]
    check_text("".join(choice.delta.content or "" for choice in choices))
    reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
    expect(reasons == ["stop"], f"finish reasons are {reasons}")
    # The client has no word to ask for usage; what comes unasked must be right.
    for usage in filter(None, (chunk.usage for chunk in chunks)):
        check_usage(usage)


def triples(calls):
    return [(call.id, call.function.name, call.function.arguments) for call in calls or ()]


def check_forced_call(vendor):
    choice = {"type": "function", "function": {"name": "adresse"}}
    answer = ask(SAMPLES["tool_question"], vendor, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False)
    calls = triples(answer.choices[0].message.tool_calls)
    check_calls(calls)
    expect(calls[0][1] == "adresse", f"called {calls[0][1]!r} instead of the function that was named")


def check_call_and_result(vendor):
    """A call by Mistral's word "any", its result, and the answer to it."""
    answer = ask(SAMPLES["tool_question"], vendor, tools=TOOLS, tool_choice="any", parallel_tool_calls=False)
    message = answer.choices[0].message
    check_calls(triples(message.tool_calls))
    expect(answer.choices[0].finish_reason == "tool_calls", f"finish_reason is {answer.choices[0].finish_reason!r}")
    call = message.tool_calls[0]
    result = {
        "role": "tool",
        "tool_call_id": call.id,
        "name": call.function.name,
        "content": SAMPLES["tool_result"],
    }
    turns = [{"role": "user", "content": SAMPLES["tool_question"]}, message, result]
    final = CLIENT.chat.complete(model=vendor.chat, messages=turns, tools=TOOLS)
    check_text(final.choices[0].message.content)


def check_parallel_calls(vendor):
    answer = ask(SAMPLES["parallel_question"], vendor, tools=TOOLS)
    check_calls(triples(answer.choices[0].message.tool_calls), 2)


def check_streamed_calls(vendor):
    calls = {}
    with CLIENT.chat.stream(
        model=vendor.chat,
        messages=[{"role": "user", "content": SAMPLES["parallel_question"]}],
        tools=TOOLS,
        tool_choice="any",
    ) as stream:
        for event in stream:
            for choice in event.data.choices:
                for part in choice.delta.tool_calls or ():
                    call = calls.setdefault(part.index, {"id": None, "name": "", "arguments": ""})
                    # The client fills a missing id with the text "null".
                    call["id"] = part.id if part.id not in (None, "null") else call["id"]
                    call["name"] += part.function.name or ""
                    arguments = part.function.arguments
                    call["arguments"] += arguments if isinstance(arguments, str) else json.dumps(arguments)
    expect(sorted(calls) == [0, 1], f"indices of the calls: {sorted(calls)}")
    check_calls([tuple(call.values()) for call in calls.values()], 2)


def check_json_schema(vendor):
    schema = {"name": "demarche", "strict": True, "schema": SCHEMA}
    answer = ask(SAMPLES["schema_question"], vendor, response_format={"type": "json_schema", "json_schema": schema})
    Answer.model_validate_json(answer.choices[0].message.content)


def check_parse_helper(vendor):
    question = [{"role": "user", "content": SAMPLES["schema_question"]}]
    answer = CLIENT.chat.parse(Answer, model=vendor.chat, messages=question)
    expect(isinstance(answer.choices[0].message.parsed, Answer), f"parsed is {answer.choices[0].message.parsed!r}")


def check_image(vendor):
    text = {"type": "text", "text": SAMPLES["image_question"]}
    # Mistral's form: the address itself, not an object.
    seen = ask([text, {"type": "image_url", "image_url": png_url()}], vendor)
    check_text(seen.choices[0].message.content)
    blind = ask([text], vendor)
    expect(seen.usage.prompt_tokens > blind.usage.prompt_tokens, "the image costs no tokens: did the vendor get it?")


def check_effort(vendor):
    answer = ask(QUESTION, vendor, reasoning_effort="high")
    check_text(answer.choices[0].message.content)


def check_response(vendor):
    response = CLIENT.responses.create(model=vendor.chat, input=QUESTION)
    check_text("".join(part.text for item in response.output if item.type == "message" for part in item.content))
    check_sum(response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens)


def check_streamed_response(vendor):
    with CLIENT.responses.create(model=vendor.chat, input=QUESTION, stream=True) as stream:
        events = [event.data for event in stream]
    check_text("".join(event.delta for event in events if event.type == "response.output_text.delta"))
    expect(events[-1].type == "response.completed", f"the last event is {events[-1].type!r}")


def check_embeddings(vendor):
    answer = CLIENT.embeddings.create(model=vendor.embeddings, inputs=SAMPLES["texts"])
    check_vectors([item.embedding for item in answer.data], 3, vendor)
    expect(answer.usage.prompt_tokens > 0, f"usage is {answer.usage}")


def check_moderation(vendor):
    answer = CLIENT.classifiers.moderate(model=vendor.moderations, inputs=SAMPLES["texts"])
    expect(len(answer.results) == 3, f"{len(answer.results)} results for 3 texts")
    expect(all(result.categories and result.category_scores for result in answer.results), "no categories")


def check_transcription(vendor):
    heard = CLIENT.audio.transcriptions.complete(
        model=vendor.audio, file={"file_name": "annonce.wav", "content": wav()}, language="fr"
    )
    check_text(heard.text)


def check_list(vendor):
    ids = [model.id for model in CLIENT.models.list().data]
    expect(vendor.chat in ids, f"{vendor.chat} is not in the list")


def check_retrieve(vendor):
    model = CLIENT.models.retrieve(model_id=vendor.chat)
    expect(model.id == vendor.chat, f"id is {model.id!r}")


def check_status(error, status, code):
    expect(error.status_code == status, f"status is {error.status_code}")
    # The client shows the body as it came.
    expect(code in error.body, f"no {code} in {error.body!r}")


def check_wrong_key(vendor):
    error = check_raises(SDKError, lambda: STRANGER.chat.complete(model=vendor.chat, messages=MESSAGES))
    check_status(error, 401, "invalid_api_key")


def check_unknown_model(_vendor):
    error = check_raises(SDKError, lambda: CLIENT.chat.complete(model="no-such-model", messages=MESSAGES))
    check_status(error, 404, "model_not_found")


def check_spent_quota(vendor):
    client = Mistral(server_url=TOWN.counted, api_key=TOWN.spent[vendor.name], timeout_ms=TIMEOUT * 1000)
    error = check_never_retried(vendor, SDKError, lambda: client.chat.complete(model=vendor.chat, messages=MESSAGES))
    check_status(error, 429, "insufficient_quota")


FEATURES = {
    "answer": [check_plain],
    "stream": [check_streamed],
    "tools": [check_forced_call, check_call_and_result, check_parallel_calls, check_streamed_calls],
    "schema": [check_json_schema, check_parse_helper],
    "image": [check_image],
    "reasoning": [check_effort],
    "responses": [check_response, check_streamed_response],
    "embeddings": [check_embeddings],
    "moderations": [check_moderation],
    "audio": [check_transcription],
    "models": [check_list, check_retrieve],
    "errors": [check_wrong_key, check_unknown_model, check_spent_quota],
}

if __name__ == "__main__":
    run(FEATURES, {})
