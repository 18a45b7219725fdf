"""What the two LangChain clients' tests share: results in LangChain's words, and checks that differ in the model only."""

from types import SimpleNamespace

from langchain_core.messages import HumanMessage, ToolMessage

from checks import QUESTION, SAMPLES, TOOLS, Answer, check_calls, check_sum, check_text, expect, png_url


def check_usage(message):
    usage = message.usage_metadata
    expect(usage is not None, "no usage")
    check_sum(usage["input_tokens"], usage["output_tokens"], usage["total_tokens"])


def check_finished(message):
    # Two finish reasons would be joined to "stopstop".
    expect(message.response_metadata["finish_reason"] == "stop", f"{message.response_metadata}")


def joined(stream):
    whole = None
    for chunk in stream:
        whole = chunk if whole is None else whole + chunk
    expect(whole is not None, "no chunk")
    return whole


def triples(message):
    expect(not message.invalid_tool_calls, f"not readable: {message.invalid_tool_calls}")
    return [(call["id"], call["name"], call["args"]) for call in message.tool_calls]


def checks_of(model):
    """The checks that are the same for both; `model(vendor, **options)` makes the client's chat model."""

    async def check_async_invoke(vendor):
        check_text((await model(vendor).ainvoke(QUESTION)).content)

    def check_call_and_result(vendor):
        question = HumanMessage(SAMPLES["tool_question"])
        asking = model(vendor).bind_tools(TOOLS, tool_choice="any", parallel_tool_calls=False).invoke([question])
        check_calls(triples(asking))
        result = ToolMessage(SAMPLES["tool_result"], tool_call_id=asking.tool_calls[0]["id"], name="horaires")
        check_text(model(vendor).bind_tools(TOOLS).invoke([question, asking, result]).text)

    def check_parallel_calls(vendor):
        question = HumanMessage(SAMPLES["parallel_question"])
        tools = model(vendor).bind_tools(TOOLS)
        asking = tools.invoke([question])
        check_calls(triples(asking), 2)
        results = [ToolMessage(SAMPLES["tool_result"], tool_call_id=call["id"]) for call in asking.tool_calls]
        check_text(tools.invoke([question, asking, *results]).text)

    def check_streamed_calls(vendor):
        tools = model(vendor).bind_tools(TOOLS, tool_choice="any")
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

    return SimpleNamespace(
        async_invoke=check_async_invoke,
        tools=[check_call_and_result, check_parallel_calls, check_streamed_calls],
        schema=[check_json_schema, check_schema_by_function],
        image=check_image,
    )
