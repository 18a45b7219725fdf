"""Checks with the OpenAI client for Python; the most thorough of the clients' tests."""

from decimal import Decimal

import openai

from checks import (
    BASE_URL,
    COUNTED_URL,
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
    expect,
    other_key,
    png_url,
    revoke,
    run,
)
from openai_python_others import FEATURES as OTHERS

# Without retries: a first answer that is wrong must be seen.
CLIENT = openai.OpenAI(base_url=BASE_URL, api_key=TOWN.key, max_retries=0, timeout=TIMEOUT)
STRANGER = openai.OpenAI(base_url=BASE_URL, api_key=other_key(TOWN.key), max_retries=0, timeout=TIMEOUT)
MESSAGES = [{"role": "user", "content": QUESTION}]


def ask(content, vendor, **options):
    return CLIENT.chat.completions.create(model=vendor.chat, messages=[{"role": "user", "content": content}], **options)


def check_usage(usage):
    expect(usage is not None, "no usage")
    check_sum(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)


def check_headers(headers, vendor, answered_by):
    """Names the vendor, model and host, and agrees with the answer's own model."""
    for name in ("x-request-id", "x-passerelle-provider", "x-passerelle-model", "x-passerelle-host"):
        expect(headers.get(name), f"no header {name}")
    provider = headers["x-passerelle-provider"]
    expect(provider in vendor.providers, f"x-passerelle-provider is {provider!r}")
    # Vendors may answer with a dated id: only the beginning is certain.
    families = tuple(SAMPLES["families"][provider])
    for model in (headers["x-passerelle-model"], answered_by):
        expect(model and model.startswith(families), f"model {model!r} is not one of {provider}")


def check_plain(vendor):
    raw = CLIENT.chat.completions.with_raw_response.create(model=vendor.chat, messages=MESSAGES)
    answer = raw.parse()
    expect(answer.object == "chat.completion", f"object is {answer.object!r}")
    expect(len(answer.choices) == 1, f"{len(answer.choices)} choices")
    choice = answer.choices[0]
    expect(choice.message.role == "assistant", f"role is {choice.message.role!r}")
    check_text(choice.message.content)
    expect(choice.finish_reason == "stop", f"finish_reason is {choice.finish_reason!r}")
    check_usage(answer.usage)
    check_headers(raw.headers, vendor, answer.model)
    cost = raw.headers.get("x-passerelle-cost-eur")
    expect(cost is not None, "no header x-passerelle-cost-eur")
    expect(Decimal(cost) > 0, f"x-passerelle-cost-eur is {cost!r}")


def read_stream(vendor, **options):
    """All chunks of a streamed answer, after the checks that hold with and without usage."""
    with ask(QUESTION, vendor, stream=True, **options) as stream:
        headers = stream.response.headers
        chunks = list(stream)
    expect(chunks, "no chunk")
    expect(len({chunk.id for chunk in chunks}) == 1, "the id changes within the stream")
    expect(len({chunk.model for chunk in chunks}) == 1, "the model changes within the stream")
    check_headers(headers, vendor, chunks[0].model)
    # Headers leave before the answer is complete: a cost there could only be wrong.
    expect("x-passerelle-cost-eur" not in headers, "a stream's headers name a cost")
    choices = [choice for chunk in chunks for choice in chunk.choices]
    check_text("".join(choice.delta.content or "" for choice in choices))
    reasons = [choice.finish_reason for choice in choices if choice.finish_reason is not None]
    expect(reasons == ["stop"], f"finish reasons are {reasons}")
    return chunks


def check_stream_with_usage(vendor):
    *former, last = read_stream(vendor, stream_options={"include_usage": True})
    expect(last.choices == [], "the last chunk has choices, not the usage alone")
    check_usage(last.usage)
    expect(all(chunk.choices and chunk.usage is None for chunk in former), "a chunk before the last has usage")


def check_stream_without_usage(vendor):
    chunks = read_stream(vendor)
    # Many programs read choices[0] of every chunk.
    expect(all(chunk.choices for chunk in chunks), "a chunk without choices, though no usage was asked for")
    expect(all(chunk.usage is None for chunk in chunks), "usage, though none was asked for")


def check_stream_helper(vendor):
    """The helper that accumulates: what it joins is what it streamed."""
    with CLIENT.chat.completions.stream(model=vendor.chat, messages=MESSAGES) as stream:
        streamed = "".join(event.delta for event in stream if event.type == "content.delta")
        final = stream.get_final_completion()
    check_text(streamed)
    expect(final.choices[0].message.content == streamed, "the final text is not what was streamed")


def triples(calls):
    return [(call.id, call.function.name, call.function.arguments) for call in calls or ()]


def check_forced_call(vendor):
    choice = {"type": "function", "function": {"name": "adresse"}}
    answer = ask(SAMPLES["tool_question"], vendor, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False)
    message = answer.choices[0].message
    calls = triples(message.tool_calls)
    check_calls(calls)
    expect(calls[0][1] == "adresse", f"called {calls[0][1]!r} instead of the function that was named")


def check_call_and_result(vendor):
    """A required call, its result, and the answer to it."""
    answer = ask(SAMPLES["tool_question"], vendor, tools=TOOLS, tool_choice="required", parallel_tool_calls=False)
    choice = answer.choices[0]
    expect(choice.finish_reason == "tool_calls", f"finish_reason is {choice.finish_reason!r}")
    check_calls(triples(choice.message.tool_calls))
    check_usage(answer.usage)
    result = {"role": "tool", "tool_call_id": choice.message.tool_calls[0].id, "content": SAMPLES["tool_result"]}
    question = {"role": "user", "content": SAMPLES["tool_question"]}
    turns = [question, choice.message.to_dict(), result]
    final = CLIENT.chat.completions.create(model=vendor.chat, messages=turns, tools=TOOLS)
    check_text(final.choices[0].message.content)
    expect(not final.choices[0].message.tool_calls, "calls again instead of answering")


def check_parallel_calls(vendor):
    answer = ask(SAMPLES["parallel_question"], vendor, tools=TOOLS, tool_choice="required")
    message = answer.choices[0].message
    check_calls(triples(message.tool_calls), 2)
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": SAMPLES["tool_result"]} for call in message.tool_calls
    ]
    question = {"role": "user", "content": SAMPLES["parallel_question"]}
    turns = [question, message.to_dict(), *results]
    final = CLIENT.chat.completions.create(model=vendor.chat, messages=turns, tools=TOOLS)
    check_text(final.choices[0].message.content)


def check_streamed_calls(vendor):
    """Parts of two calls, joined by their index as every client does."""
    calls, reasons = {}, []
    with ask(SAMPLES["parallel_question"], vendor, tools=TOOLS, stream=True) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                reasons.append(choice.finish_reason)
                for part in choice.delta.tool_calls or ():
                    call = calls.setdefault(part.index, {"id": [], "name": [], "arguments": ""})
                    call["id"] += [part.id] if part.id else []
                    call["name"] += [part.function.name] if part.function.name else []
                    call["arguments"] += part.function.arguments or ""
    expect(sorted(calls) == [0, 1], f"indices of the calls: {sorted(calls)}")
    # Clients that append would double an id or a name that comes twice.
    expect(all(len(call["id"]) == len(call["name"]) == 1 for call in calls.values()), f"ids and names: {calls}")
    check_calls([(call["id"][0], call["name"][0], call["arguments"]) for call in calls.values()], 2)
    reasons = [reason for reason in reasons if reason]
    expect(reasons == ["tool_calls"], f"finish reasons are {reasons}")


def check_json_schema(vendor):
    schema = {"name": "demarche", "strict": True, "schema": SCHEMA}
    answer = ask(SAMPLES["schema_question"], vendor, response_format={"type": "json_schema", "json_schema": schema})
    Answer.model_validate_json(answer.choices[0].message.content)
    expect(answer.choices[0].finish_reason == "stop", f"finish_reason is {answer.choices[0].finish_reason!r}")


def check_parse_helper(vendor):
    question = [{"role": "user", "content": SAMPLES["schema_question"]}]
    answer = CLIENT.chat.completions.parse(model=vendor.chat, messages=question, response_format=Answer)
    expect(isinstance(answer.choices[0].message.parsed, Answer), f"parsed is {answer.choices[0].message.parsed!r}")


def check_streamed_json(vendor):
    question = [{"role": "user", "content": SAMPLES["schema_question"]}]
    with CLIENT.chat.completions.stream(model=vendor.chat, messages=question, response_format=Answer) as stream:
        final = stream.get_final_completion()
    expect(isinstance(final.choices[0].message.parsed, Answer), f"parsed is {final.choices[0].message.parsed!r}")


def check_image(vendor):
    text = {"type": "text", "text": SAMPLES["image_question"]}
    seen = ask([text, {"type": "image_url", "image_url": {"url": png_url()}}], vendor)
    check_text(seen.choices[0].message.content)
    blind = ask([text], vendor)
    expect(seen.usage.prompt_tokens > blind.usage.prompt_tokens, "the image costs no tokens: did the vendor get it?")


def check_effort(vendor):
    answer = ask(QUESTION, vendor, reasoning_effort="high")
    check_text(answer.choices[0].message.content)
    check_usage(answer.usage)
    details = answer.usage.completion_tokens_details
    hidden = details.reasoning_tokens if details else None
    expect(hidden is None or hidden <= answer.usage.completion_tokens, f"{hidden} reasoning tokens in {answer.usage}")


def check_list(vendor):
    ids = [model.id for model in CLIENT.models.list()]
    expect(vendor.chat in ids, f"{vendor.chat} is not in the list")
    expect(len(ids) == len(set(ids)), "a model is listed twice")


def check_retrieve(vendor):
    model = CLIENT.models.retrieve(vendor.chat)
    expect(model.id == vendor.chat, f"id is {model.id!r}")
    expect(model.object == "model", f"object is {model.object!r}")


def check_refused(kind, code, call):
    """The call fails with this class of the client's errors and this code."""
    error = check_raises(kind, call)
    expect(error.code == code, f"code is {error.code!r}, not {code!r}")
    expect(error.message, "no message")
    expect(error.request_id, "no request id")


def check_wrong_key(vendor):
    check_refused(
        openai.AuthenticationError,
        "invalid_api_key",
        lambda: STRANGER.chat.completions.create(model=vendor.chat, messages=MESSAGES),
    )


def check_unknown_model(_vendor):
    check_refused(
        openai.NotFoundError,
        "model_not_found",
        lambda: CLIENT.chat.completions.create(model="no-such-model", messages=MESSAGES),
    )


def check_spent_quota(vendor):
    # With the client's own retries.
    with openai.OpenAI(base_url=COUNTED_URL, api_key=TOWN.spent[vendor.name], timeout=TIMEOUT) as client:
        error = check_never_retried(
            vendor,
            openai.RateLimitError,
            lambda: client.chat.completions.create(model=vendor.chat, messages=MESSAGES),
        )
    expect(error.code == "insufficient_quota", f"code is {error.code!r}")


def check_revoked_key(vendor):
    with openai.OpenAI(base_url=BASE_URL, api_key=TOWN.revoked, max_retries=0, timeout=TIMEOUT) as client:
        if vendor.name == TOWN.vendors[0]:
            client.chat.completions.create(model=vendor.chat, messages=MESSAGES)
            revoke(TOWN.revoked)
        # The very next call, without a pause: a revoked key must not live on in a cache.
        check_refused(
            openai.AuthenticationError,
            "invalid_api_key",
            lambda: client.chat.completions.create(model=vendor.chat, messages=MESSAGES),
        )


FEATURES = {
    "answer": [check_plain],
    "stream": [check_stream_with_usage, check_stream_without_usage, check_stream_helper],
    "tools": [check_forced_call, check_call_and_result, check_parallel_calls, check_streamed_calls],
    "schema": [check_json_schema, check_parse_helper, check_streamed_json],
    "image": [check_image],
    "reasoning": [check_effort],
    "models": [check_list, check_retrieve],
    "errors": [check_wrong_key, check_unknown_model, check_spent_quota, check_revoked_key],
}
CHAT_ONLY = "the route has chat models only"
LACKS = {(feature, "auto"): CHAT_ONLY for feature in ("embeddings", "moderations", "audio")}

if __name__ == "__main__":
    run(FEATURES | OTHERS, LACKS)
