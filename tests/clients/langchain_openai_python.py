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
    check_calls,
    check_never_retried,
    check_raises,
    check_text,
    check_vectors,
    expect,
    other_key,
    run,
)
from langchain_shared import check_finished, check_usage, checks_of, joined, triples


def model(vendor, **options):
    # With a base URL of its own, this client asks for no usage in streams unless told to.
    settings = {"base_url": BASE_URL, "api_key": TOWN.key, "max_retries": 0, "timeout": TIMEOUT, "stream_usage": True}
    return ChatOpenAI(**{"model": vendor.chat, **settings, **options})


SHARED = checks_of(model)


def check_invoke(vendor):
    # max_tokens leaves as max_completion_tokens.
    answer = model(vendor, max_tokens=500).invoke(QUESTION)
    check_text(answer.content)
    check_finished(answer)
    check_usage(answer)


def check_streamed(vendor):
    whole = joined(model(vendor).stream(QUESTION))
    check_text(whole.content)
    check_finished(whole)
    check_usage(whole)


def check_forced_call(vendor):
    tools = model(vendor).bind_tools(TOOLS, tool_choice="adresse", parallel_tool_calls=False)
    calls = triples(tools.invoke(SAMPLES["tool_question"]))
    check_calls(calls)
    expect(calls[0][1] == "adresse", f"called {calls[0][1]!r} instead of the function that was named")


def check_call_over_chat(vendor):
    """Unless told otherwise, this client goes over to the Responses API for gpt-6 models with tools."""
    tools = model(vendor, use_responses_api=False).bind_tools(TOOLS, tool_choice="any", parallel_tool_calls=False)
    check_calls(triples(tools.invoke(SAMPLES["tool_question"])))


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
    "answer": [check_invoke, SHARED.async_invoke],
    "stream": [check_streamed],
    "tools": [check_forced_call, check_call_over_chat, *SHARED.tools],
    "schema": SHARED.schema,
    "image": [SHARED.image],
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
