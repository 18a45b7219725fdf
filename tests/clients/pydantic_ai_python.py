"""Checks with pydantic-ai: agents with typed answers and tools, over chat completions and over Responses."""

import warnings
from typing import Literal

import openai
from pydantic_ai import Agent, BinaryContent, Embedder, NativeOutput
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from checks import (
    BASE_URL,
    COUNTED_URL,
    QUESTION,
    SAMPLES,
    TIMEOUT,
    TOWN,
    Answer,
    Failure,
    check_calls,
    check_text,
    check_vectors,
    count_calls,
    expect,
    other_key,
    png,
    run,
)

# It warns of settings that a model's profile lacks.
warnings.simplefilter("ignore")


def provider(key=TOWN.key, url=BASE_URL, retries=0, compatible=True):
    client = openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=retries, timeout=TIMEOUT)
    return (
        OpenAICompatibleProvider("passerelle", openai_client=client)
        if compatible
        else OpenAIProvider(openai_client=client)
    )


def chat(vendor, **options):
    return OpenAIChatModel(vendor.chat, provider=provider(**options))


def responses(vendor):
    # The way for what the client calls a transparent proxy to OpenAI.
    return OpenAIResponsesModel(vendor.chat, provider=provider(compatible=False))


def check_usage(usage):
    expect(usage.input_tokens > 0 and usage.output_tokens > 0, f"usage is {usage}")


async def check_answer(vendor):
    result = await Agent(chat(vendor), instructions="Réponds en une phrase.").run(QUESTION)
    check_text(result.output)
    check_usage(result.usage)
    expect(result.response.finish_reason == "stop", f"finish_reason is {result.response.finish_reason!r}")


async def check_answer_as_a_proxy_to_openai(vendor):
    result = await Agent(OpenAIChatModel(vendor.chat, provider=provider(compatible=False))).run(QUESTION)
    check_text(result.output)


async def check_streamed_by(model):
    async with Agent(model).run_stream(QUESTION) as stream:
        parts = [part async for part in stream.stream_text(delta=True, debounce_by=None)]
        check_text("".join(parts))
        expect(len(parts) > 1, "came in one piece")
        expect(await stream.get_output() == "".join(parts), "the final text is not what was streamed")
        check_usage(stream.usage)


async def check_streamed(vendor):
    await check_streamed_by(chat(vendor))


def agent_with_tool(model, called):
    agent = Agent(model)

    @agent.tool_plain
    def horaires(lieu: Literal["mairie annexe", "médiathèque", "piscine"], jour: str, semaines: int) -> str:
        """Les horaires d'un lieu de la commune."""
        called.append((lieu, jour, semaines))
        return SAMPLES["tool_result"]

    return agent


def calls_in(messages):
    parts = [part for message in messages for part in message.parts if isinstance(part, ToolCallPart)]
    return [(part.tool_call_id, part.tool_name, part.args_as_dict()) for part in parts]


async def check_loop(model, question, count):
    """The client's own loop: calls, results, answer."""
    called = []
    result = await agent_with_tool(model, called).run(question)
    check_text(result.output)
    check_calls(calls_in(result.all_messages()), count)
    expect(len(called) == count, f"the function ran {len(called)} times")


async def check_call_and_result(vendor):
    await check_loop(chat(vendor), SAMPLES["tool_question"], 1)


async def check_parallel_calls(vendor):
    await check_loop(chat(vendor), SAMPLES["parallel_question"], 2)


async def check_streamed_loop(model):
    called = []
    async with agent_with_tool(model, called).run_stream(SAMPLES["parallel_question"]) as stream:
        check_text(await stream.get_output())
    check_calls(calls_in(stream.all_messages()), 2)
    expect(len(called) == 2, f"the function ran {len(called)} times")


async def check_streamed_calls(vendor):
    await check_streamed_loop(chat(vendor))


async def check_native_output(vendor):
    result = await Agent(chat(vendor), output_type=NativeOutput(Answer)).run(SAMPLES["schema_question"])
    expect(isinstance(result.output, Answer), f"output is {result.output!r}")


async def check_tool_output(vendor):
    """The client's default way: a forced call whose arguments are the answer."""
    result = await Agent(chat(vendor), output_type=Answer).run(SAMPLES["schema_question"])
    expect(isinstance(result.output, Answer), f"output is {result.output!r}")


async def check_streamed_output(vendor):
    async with Agent(chat(vendor), output_type=NativeOutput(Answer)).run_stream(SAMPLES["schema_question"]) as stream:
        output = await stream.get_output()
    expect(isinstance(output, Answer), f"output is {output!r}")


async def check_image(vendor):
    question = [SAMPLES["image_question"], BinaryContent(png(), media_type="image/png")]
    check_text((await Agent(chat(vendor)).run(question)).output)


async def check_effort(vendor):
    result = await Agent(chat(vendor), model_settings={"openai_reasoning_effort": "high"}).run(QUESTION)
    check_text(result.output)


async def check_response(vendor):
    result = await Agent(responses(vendor)).run(QUESTION)
    check_text(result.output)
    check_usage(result.usage)


async def check_streamed_response(vendor):
    await check_streamed_by(responses(vendor))


async def check_response_with_tool(vendor):
    await check_loop(responses(vendor), SAMPLES["tool_question"], 1)


async def check_streamed_response_with_tools(vendor):
    await check_streamed_loop(responses(vendor))


async def check_typed_response(vendor):
    result = await Agent(responses(vendor), output_type=NativeOutput(Answer)).run(SAMPLES["schema_question"])
    expect(isinstance(result.output, Answer), f"output is {result.output!r}")


async def check_embeddings(vendor):
    embedder = Embedder(OpenAIEmbeddingModel(vendor.embeddings, provider=provider(compatible=False)))
    result = await embedder.embed_documents(SAMPLES["texts"])
    check_vectors([list(vector) for vector in result.embeddings], 3, vendor)


async def check_refused(model, status):
    try:
        await Agent(model).run(QUESTION)
    except ModelHTTPError as error:
        expect(error.status_code == status, f"status is {error.status_code}")
        return error
    raise Failure("was answered")


async def check_wrong_key(vendor):
    await check_refused(chat(vendor, key=other_key(TOWN.key)), 401)


async def check_unknown_model(_vendor):
    await check_refused(OpenAIChatModel("no-such-model", provider=provider()), 404)


async def check_spent_quota(vendor):
    # With the retries of the client beneath.
    key = TOWN.spent[vendor.name]
    error = await check_refused(chat(vendor, key=key, url=COUNTED_URL, retries=2), 429)
    expect("insufficient_quota" in str(error), f"says {error}")
    calls = count_calls(key)
    expect(calls == 1, f"called {calls} times, though the gateway said never to retry")


FEATURES = {
    "answer": [check_answer, check_answer_as_a_proxy_to_openai],
    "stream": [check_streamed],
    "tools": [check_call_and_result, check_parallel_calls, check_streamed_calls],
    "schema": [check_native_output, check_tool_output, check_streamed_output],
    "image": [check_image],
    "reasoning": [check_effort],
    "responses": [
        check_response,
        check_streamed_response,
        check_response_with_tool,
        check_streamed_response_with_tools,
        check_typed_response,
    ],
    "embeddings": [check_embeddings],
    "errors": [check_wrong_key, check_unknown_model, check_spent_quota],
}
LACKS = {
    "moderations": "no moderations",
    "audio": "no transcription",
    "models": "no list of models",
}

if __name__ == "__main__":
    run(FEATURES, LACKS)
