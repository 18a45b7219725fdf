"""Checks with langchain-mistralai, which speaks to Mistral's API without Mistral's client."""

import warnings

import httpx
from langchain_mistralai import ChatMistralAI, MistralAIEmbeddings

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
    settings = {"base_url": BASE_URL, "api_key": TOWN.key, "max_retries": 1, "timeout": TIMEOUT}
    return ChatMistralAI(**{"model": vendor.chat, **settings, **options})


SHARED = checks_of(model)


def check_invoke(vendor):
    # This client sends temperature and top_p even when nobody asked for them.
    answer = model(vendor, max_tokens=500, random_seed=7).invoke(QUESTION)
    check_text(answer.content)
    check_finished(answer)
    check_usage(answer)


def check_streamed(vendor):
    whole = joined(model(vendor).stream(QUESTION))
    check_text(whole.content)
    check_finished(whole)
    # The client has no word to ask for usage; what comes unasked must be right.
    if whole.usage_metadata:
        check_usage(whole)


def check_forced_call(vendor):
    choice = {"type": "function", "function": {"name": "adresse"}}
    tools = model(vendor).bind_tools(TOOLS, tool_choice=choice, parallel_tool_calls=False)
    calls = triples(tools.invoke(SAMPLES["tool_question"]))
    check_calls(calls)
    expect(calls[0][1] == "adresse", f"called {calls[0][1]!r} instead of the function that was named")


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
    "answer": [check_invoke, SHARED.async_invoke],
    "stream": [check_streamed],
    "tools": [check_forced_call, *SHARED.tools],
    "schema": SHARED.schema,
    "image": [SHARED.image],
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
