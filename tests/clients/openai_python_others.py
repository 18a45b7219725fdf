"""The OpenAI client for Python beyond chat: Responses, embeddings, moderations, transcription."""

import openai

from checks import (
    BASE_URL,
    QUESTION,
    SAMPLES,
    TIMEOUT,
    TOWN,
    Answer,
    check_calls,
    check_raises,
    check_sum,
    check_text,
    check_vectors,
    expect,
    other_key,
    wav,
)

CLIENT = openai.OpenAI(base_url=BASE_URL, api_key=TOWN.key, max_retries=0, timeout=TIMEOUT)
# The Responses API has its tools flat.
FLAT_TOOLS = [{"type": "function", "strict": True, **SAMPLES[name]} for name in ("tool", "other_tool")]


def check_whole(response):
    expect(response.status == "completed", f"status is {response.status!r}")
    expect(response.usage is not None, "no usage")
    check_sum(response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens)


def check_response(vendor):
    response = CLIENT.responses.create(model=vendor.chat, input=QUESTION, instructions="Réponds en une phrase.")
    expect(response.object == "response", f"object is {response.object!r}")
    check_text(response.output_text)
    check_whole(response)


def check_streamed_response(vendor):
    with CLIENT.responses.create(model=vendor.chat, input=QUESTION, stream=True) as stream:
        events = list(stream)
    kinds = [event.type for event in events]
    expect(kinds[0] == "response.created", f"the first event is {kinds[0]!r}")
    ends = ("response.completed", "response.incomplete", "response.failed", "error")
    expect([kind for kind in kinds if kind in ends] == ["response.completed"], f"ends of the stream in {kinds}")
    expect(kinds[-1] == "response.completed", f"the last event is {kinds[-1]!r}")
    numbers = [event.sequence_number for event in events]
    expect(numbers == list(range(len(events))), f"sequence numbers: {numbers}")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    check_text(text)
    expect(events[-1].response.output_text == text, "the final text is not what was streamed")
    check_whole(events[-1].response)


def check_stream_helper(vendor):
    with CLIENT.responses.stream(model=vendor.chat, input=QUESTION) as stream:
        final = stream.get_final_response()
    check_text(final.output_text)
    check_whole(final)


def calls_of(response):
    items = [item for item in response.output if item.type == "function_call"]
    return items, [(item.call_id, item.name, item.arguments) for item in items]


def check_response_with_tool(vendor):
    """A required call, its result, and the answer to it, without anything stored."""
    question = {"role": "user", "content": SAMPLES["tool_question"]}
    options = {"model": vendor.chat, "tools": FLAT_TOOLS, "store": False, "parallel_tool_calls": False}
    response = CLIENT.responses.create(input=[question], tool_choice="required", **options)
    items, calls = calls_of(response)
    check_calls(calls)
    result = {"type": "function_call_output", "call_id": items[0].call_id, "output": SAMPLES["tool_result"]}
    turns = [question, *(item.to_dict() for item in response.output), result]
    final = CLIENT.responses.create(input=turns, **options)
    check_text(final.output_text)


def check_streamed_tool_calls(vendor):
    with CLIENT.responses.stream(
        model=vendor.chat, input=SAMPLES["parallel_question"], tools=FLAT_TOOLS, tool_choice="required"
    ) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.function_call_arguments.delta")
        items, calls = calls_of(stream.get_final_response())
    check_calls(calls, 2)
    expect(deltas == "".join(item.arguments for item in items), "the arguments are not what was streamed")


def check_parsed_response(vendor):
    response = CLIENT.responses.parse(model=vendor.chat, input=SAMPLES["schema_question"], text_format=Answer)
    expect(isinstance(response.output_parsed, Answer), f"parsed is {response.output_parsed!r}")


def check_embeddings_by_default(vendor):
    """Base64 on the wire, which the client decodes."""
    answer = CLIENT.embeddings.create(model=vendor.embeddings, input=SAMPLES["texts"])
    check_vectors([item.embedding for item in answer.data], 3, vendor)
    expect([item.index for item in answer.data] == [0, 1, 2], "the vectors are not in order")
    expect(answer.usage.prompt_tokens > 0, f"usage is {answer.usage}")


def check_embeddings_as_floats(vendor):
    text = SAMPLES["texts"][0]
    floats = CLIENT.embeddings.create(model=vendor.embeddings, input=text, encoding_format="float").data[0].embedding
    check_vectors([floats], 1, vendor)
    coded = CLIENT.embeddings.create(model=vendor.embeddings, input=text).data[0].embedding
    expect(
        all(abs(one - other) < 1e-6 for one, other in zip(floats, coded, strict=True)),
        "one text has different vectors as floats and as base64",
    )


def check_moderation(vendor):
    for texts in (SAMPLES["texts"][0], SAMPLES["texts"]):
        answer = CLIENT.moderations.create(model=vendor.moderations, input=texts)
        count = 1 if isinstance(texts, str) else len(texts)
        expect(len(answer.results) == count, f"{len(answer.results)} results for {count} texts")
        for result in answer.results:
            expect(result.flagged in (True, False), f"flagged is {result.flagged!r}")
            scores = result.category_scores.to_dict()
            expect(scores and all(0 <= score <= 1 for score in scores.values()), f"scores are {scores}")


def check_transcription(vendor):
    heard = CLIENT.audio.transcriptions.create(
        model=vendor.audio, file=("annonce.wav", wav(), "audio/wav"), language="fr"
    )
    check_text(heard.text)


def check_transcription_by_whisper(vendor):
    """OpenAI's older model, billed by duration."""
    model = "whisper-1" if vendor.name == "openai" else vendor.audio
    heard = CLIENT.audio.transcriptions.create(model=model, file=("annonce.wav", wav()))
    check_text(heard.text)


def check_wrong_key_at_upload(vendor):
    """A refusal that leaves before a long upload has been read must still arrive."""
    stranger = CLIENT.with_options(api_key=other_key(TOWN.key))
    upload = ("annonce.wav", wav(seconds=120))
    error = check_raises(
        openai.AuthenticationError, lambda: stranger.audio.transcriptions.create(model=vendor.audio, file=upload)
    )
    expect(error.code == "invalid_api_key", f"code is {error.code!r}")


FEATURES = {
    "responses": [
        check_response,
        check_streamed_response,
        check_stream_helper,
        check_response_with_tool,
        check_streamed_tool_calls,
        check_parsed_response,
    ],
    "embeddings": [check_embeddings_by_default, check_embeddings_as_floats],
    "moderations": [check_moderation],
    "audio": [check_transcription, check_transcription_by_whisper, check_wrong_key_at_upload],
}
