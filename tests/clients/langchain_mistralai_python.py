"""Checks with langchain-mistralai, which speaks to Mistral's API without Mistral's client."""

import warnings

import httpx
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_mistralai import ChatMistralAI, MistralAIEmbeddings

from checks import (
    BASE_URL,
    COUNTED_URL,
    QUESTION,
    SAMPLES,
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
)


def model(vendor, **options):
    settings = {"base_url": BASE_URL, "api_key": TOWN.key, "max_retries": 1, "timeout": TIMEOUT}
    return ChatMistralAI(**{"model": vendor.chat, **settings, **options})


def check_usage(message):
    usage = message.usage_metadata
    expect(usage is not None, "no usage")
    check_sum(usage["input_tokens"], usage["output_tokens"], usage["total_tokens"])


def check_invoke(vendor):
    # This client sends temperature and top_p even when nobody asked for them.
    answer = model(vendor, max_tokens=500, random_seed=7).invoke(QUESTION)
    check_text(answer.content)
    expect(answer.response_metadata["finish_reason"] == "stop", f"{answer.response_metadata}")
    check_usage(answer)


async def check_async_invoke(vendor):
    check_text((await model(vendor).ainvoke(QUESTION)).content)


def joined(stream):
    whole = None
    for chunk in stream:
        whole = chunk if whole is None else whole + chunk
    expect(whole is not None, "no chunk")
    return whole


def check_streamed(vendor):
    whole = joined(model(vendor).stream(QUESTION))
    check_text(whole.content)
    expect(whole.response_metadata["finish_reason"] == "stop", f"{whole.response_metadata}")
    # The client has no word to ask for usage; what comes unasked must be right.
    if whole.usage_metadata:
        check_usage(whole)


def triples(message):
    expect(not message.invalid_tool_calls, f"not readable: {message.invalid_tool_calls}")
    return [(call["id"], call["name"], call["args"]) for call in message.tool_calls]


def check_forced_call(vendor):
    choice = {"type": "function", "function": {"name": "adresse"}}
    tools = model(vendor).bind_tools(TOOLS, tool_choice=choice, parallel_tool_calls=False)
    calls = triples(tools.invoke(SAMPLES["tool_question"]))
    check_calls(calls)
    expect(calls[0][1] == "adresse", f"called {calls[0][1]!r} instead of the function that was named")


def check_call_and_result(vendor):
    question = HumanMessage(SAMPLES["tool_question"])
    asking = model(vendor).bind_tools(TOOLS, tool_choice="any", parallel_tool_calls=False).invoke([question])
    check_calls(triples(asking))
    result = ToolMessage(SAMPLES["tool_result"], tool_call_id=asking.tool_calls[0]["id"], name="horaires")
    answer = model(vendor).bind_tools(TOOLS).invoke([question, asking, result])
    check_text(answer.content)


def check_parallel_calls(vendor):
    question = HumanMessage(SAMPLES["parallel_question"])
    tools = model(vendor).bind_tools(TOOLS)
    asking = tools.invoke([question])
    check_calls(triples(asking), 2)
    results = [ToolMessage(SAMPLES["tool_result"], tool_call_id=call["id"]) for call in asking.tool_calls]
    check_text(tools.invoke([question, asking, *results]).content)


def check_streamed_calls(vendor):
    tools = model(vendor).bind_tools(TOOLS, tool_choice="any")
    check_calls(triples(joined(tools.stream(SAMPLES["parallel_question"]))), 2)


def check_json_schema(vendor):
    answer = model(vendor).with_structured_output(Answer, method="json_schema").invoke(SAMPLES["schema_question"])
    expect(isinstance(answer, Answer), f"parsed is {answer!r}")


def check_schema_by_function(vendor):
    """The client's default way."""
    answer = model(vendor).with_structured_output(Answer).invoke(SAMPLES["schema_question"])
    expect(isinstance(answer, Answer), f"parsed is {answer!r}")


def check_image(vendor):
    text = {"type": "text", "text": SAMPLES["image_question"]}
    image = {"type": "image_url", "image_url": {"url": png_url()}}
    answer = model(vendor).invoke([HumanMessage([text, image])])
    check_text(answer.content)
    check_usage(answer)


def check_embeddings(vendor):
    with warnings.catch_warnings():
        # It wants a tokenizer from the internet, and goes on without.
        warnings.simplefilter("ignore")
        embeddings = MistralAIEmbeddings(
            model=vendor.embeddings, endpoint=f"{BASE_URL}/", api_key=TOWN.key, max_retries=1, timeout=TIMEOUT
        )
    check_vectors(embeddings.embed_documents(SAMPLES["texts"]), 3, vendor)
    check_vectors([embeddings.embed_query(SAMPLES["texts"][0])], 1, vendor)


def check_status(error, status, code):
    expect(error.response.status_code == status, f"status is {error.response.status_code}")
    expect(code in str(error), f"no {code} in {error}")


def check_wrong_key(vendor):
    stranger = model(vendor, api_key=other_key(TOWN.key))
    check_status(check_raises(httpx.HTTPStatusError, lambda: stranger.invoke(QUESTION)), 401, "invalid_api_key")


def check_unknown_model(vendor):
    nobody = model(vendor, model="no-such-model")
    check_status(check_raises(httpx.HTTPStatusError, lambda: nobody.invoke(QUESTION)), 404, "model_not_found")


def check_spent_quota(vendor):
    # With the client's own retries.
    poor = ChatMistralAI(model=vendor.chat, base_url=COUNTED_URL, api_key=TOWN.spent[vendor.name], timeout=TIMEOUT)
    error = check_never_retried(vendor, httpx.HTTPStatusError, lambda: poor.invoke(QUESTION))
    check_status(error, 429, "insufficient_quota")


FEATURES = {
    "answer": [check_invoke, check_async_invoke],
    "stream": [check_streamed],
    "tools": [check_forced_call, check_call_and_result, check_parallel_calls, check_streamed_calls],
    "schema": [check_json_schema, check_schema_by_function],
    "image": [check_image],
    "embeddings": [check_embeddings],
    "errors": [check_wrong_key, check_unknown_model, check_spent_quota],
}
LACKS = {
    "reasoning": "no setting for it",
    "responses": "no Responses API",
    "moderations": "no moderations",
    "audio": "no transcription",
    "models": "no list of models",
}

if __name__ == "__main__":
    run(FEATURES, LACKS)
