"""Checks with langchain-openai, which brings the OpenAI client for Python under LangChain's own words."""

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

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
    # With a base URL of its own, this client asks for no usage in streams unless told to.
    settings = {"base_url": BASE_URL, "api_key": TOWN.key, "max_retries": 0, "timeout": TIMEOUT, "stream_usage": True}
    return ChatOpenAI(**{"model": vendor.chat, **settings, **options})


def check_usage(message):
    usage = message.usage_metadata
    expect(usage is not None, "no usage")
    check_sum(usage["input_tokens"], usage["output_tokens"], usage["total_tokens"])


def check_invoke(vendor):
    # max_tokens leaves as max_completion_tokens.
    answer = model(vendor, max_tokens=500).invoke(QUESTION)
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
    # Two finish reasons would be joined to "stopstop".
    expect(whole.response_metadata["finish_reason"] == "stop", f"{whole.response_metadata}")
    check_usage(whole)


def triples(message):
    expect(not message.invalid_tool_calls, f"not readable: {message.invalid_tool_calls}")
    return [(call["id"], call["name"], call["args"]) for call in message.tool_calls]


def check_forced_call(vendor):
    tools = model(vendor).bind_tools(TOOLS, tool_choice="adresse", parallel_tool_calls=False)
    calls = triples(tools.invoke(SAMPLES["tool_question"]))
    check_calls(calls)
    expect(calls[0][1] == "adresse", f"called {calls[0][1]!r} instead of the function that was named")


def check_call_over_chat(vendor):
    """Unless told otherwise, this client goes over to the Responses API for gpt-6 models with tools."""
    tools = model(vendor, use_responses_api=False).bind_tools(TOOLS, tool_choice="any", parallel_tool_calls=False)
    check_calls(triples(tools.invoke(SAMPLES["tool_question"])))


def check_call_and_result(vendor):
    question = HumanMessage(SAMPLES["tool_question"])
    asking = model(vendor).bind_tools(TOOLS, tool_choice="required", parallel_tool_calls=False).invoke([question])
    check_calls(triples(asking))
    result = ToolMessage(SAMPLES["tool_result"], tool_call_id=asking.tool_calls[0]["id"])
    answer = model(vendor).bind_tools(TOOLS).invoke([question, asking, result])
    check_text(answer.text)


def check_parallel_calls(vendor):
    question = HumanMessage(SAMPLES["parallel_question"])
    tools = model(vendor).bind_tools(TOOLS)
    asking = tools.invoke([question])
    check_calls(triples(asking), 2)
    results = [ToolMessage(SAMPLES["tool_result"], tool_call_id=call["id"]) for call in asking.tool_calls]
    check_text(tools.invoke([question, asking, *results]).text)


def check_streamed_calls(vendor):
    tools = model(vendor).bind_tools(TOOLS, tool_choice="required")
    check_calls(triples(joined(tools.stream(SAMPLES["parallel_question"]))), 2)


def check_json_schema(vendor):
    answer = model(vendor).with_structured_output(Answer, method="json_schema").invoke(SAMPLES["schema_question"])
    expect(isinstance(answer, Answer), f"parsed is {answer!r}")


def check_schema_by_function(vendor):
    structured = model(vendor).with_structured_output(Answer, method="function_calling")
    answer = structured.invoke(SAMPLES["schema_question"])
    expect(isinstance(answer, Answer), f"parsed is {answer!r}")


def check_image(vendor):
    text = {"type": "text", "text": SAMPLES["image_question"]}
    image = {"type": "image_url", "image_url": {"url": png_url()}}
    answer = model(vendor).invoke([HumanMessage([text, image])])
    check_text(answer.content)
    check_usage(answer)


def check_effort(vendor):
    check_text(model(vendor, reasoning_effort="high").invoke(QUESTION).content)


def check_response(vendor):
    answer = model(vendor, use_responses_api=True).invoke(QUESTION)
    check_text(answer.text)
    check_usage(answer)


def check_streamed_response(vendor):
    whole = joined(model(vendor, use_responses_api=True).stream(QUESTION))
    check_text(whole.text)
    check_usage(whole)


def check_response_with_tool(vendor):
    question = HumanMessage(SAMPLES["tool_question"])
    tools = model(vendor, use_responses_api=True).bind_tools(TOOLS, parallel_tool_calls=False)
    asking = tools.invoke([question])
    check_calls(triples(asking))
    result = ToolMessage(SAMPLES["tool_result"], tool_call_id=asking.tool_calls[0]["id"])
    check_text(tools.invoke([question, asking, result]).text)


def embedder(vendor, **options):
    return OpenAIEmbeddings(
        model=vendor.embeddings, base_url=BASE_URL, api_key=TOWN.key, max_retries=0, timeout=TIMEOUT, **options
    )


def check_embeddings(vendor):
    # Otherwise this client fetches a tokenizer from the internet and sends tokens instead of text.
    embeddings = embedder(vendor, check_embedding_ctx_length=False)
    check_vectors(embeddings.embed_documents(SAMPLES["texts"]), 3, vendor)
    check_vectors([embeddings.embed_query(SAMPLES["texts"][0])], 1, vendor)


def check_wrong_key(vendor):
    stranger = model(vendor, api_key=other_key(TOWN.key))
    check_raises(openai.AuthenticationError, lambda: stranger.invoke(QUESTION))


def check_unknown_model(vendor):
    check_raises(openai.NotFoundError, lambda: model(vendor, model="no-such-model").invoke(QUESTION))


def check_spent_quota(vendor):
    # With the client's own retries.
    poor = ChatOpenAI(model=vendor.chat, base_url=COUNTED_URL, api_key=TOWN.spent[vendor.name], timeout=TIMEOUT)
    error = check_never_retried(vendor, openai.RateLimitError, lambda: poor.invoke(QUESTION))
    expect(error.code == "insufficient_quota", f"code is {error.code!r}")


FEATURES = {
    "answer": [check_invoke, check_async_invoke],
    "stream": [check_streamed],
    "tools": [
        check_forced_call,
        check_call_over_chat,
        check_call_and_result,
        check_parallel_calls,
        check_streamed_calls,
    ],
    "schema": [check_json_schema, check_schema_by_function],
    "image": [check_image],
    "reasoning": [check_effort],
    "responses": [check_response, check_streamed_response, check_response_with_tool],
    "embeddings": [check_embeddings],
    "errors": [check_wrong_key, check_unknown_model, check_spent_quota],
}
LACKS = {
    "moderations": "only as middleware of another package",
    "audio": "no transcription",
    "models": "no list of models",
}

if __name__ == "__main__":
    run(FEATURES, LACKS)
