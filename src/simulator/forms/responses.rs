//! OpenAI's Responses request: items in, flat tools.

use super::super::shape::{Field, Shape, list, may, must};
use super::openai::{
    ANY, CACHE_OPTIONS, CACHE_RETENTION, EFFORT, MAP_OR_NULL, METADATA, MODERATION, SWITCH_OR_NULL, TEXT, TEXT_OR_NULL,
    TOP_LOGPROBS, VERBOSITY,
};

const STATUS: Shape = Shape::Nullable(&Shape::Word(&["in_progress", "completed", "incomplete"]));
const INPUT_TEXT: &[Field] = &[must("text", TEXT), may("prompt_cache_breakpoint", MAP_OR_NULL)];
const INPUT_IMAGE: &[Field] = &[
    may("image_url", TEXT_OR_NULL),
    may("file_id", TEXT_OR_NULL),
    may("detail", Shape::Word(&["low", "high", "auto", "original"])),
    may("prompt_cache_breakpoint", MAP_OR_NULL),
];
const INPUT_FILE: &[Field] = &[
    may("file_id", TEXT_OR_NULL),
    may("filename", TEXT),
    may("file_data", TEXT),
    may("file_url", TEXT),
    may("detail", TEXT),
    may("prompt_cache_breakpoint", MAP_OR_NULL),
];
const CONTENT: Shape = Shape::Either(&[
    TEXT,
    list(&Shape::Tagged(
        "type",
        None,
        &[
            ("input_text", INPUT_TEXT),
            ("input_image", INPUT_IMAGE),
            ("input_file", INPUT_FILE),
            ("output_text", &[must("text", TEXT), may("annotations", list(&Shape::Map)), may("logprobs", Shape::Any)]),
            ("refusal", &[must("refusal", TEXT)]),
        ],
    )),
]);
const OUTPUT: Shape = Shape::Either(&[
    TEXT,
    list(&Shape::Tagged(
        "type",
        None,
        &[("input_text", INPUT_TEXT), ("input_image", INPUT_IMAGE), ("input_file", INPUT_FILE)],
    )),
]);

/// Items that a stateless caller can send; hosted tools' items and references need the vendor's store.
const ITEM: Shape = Shape::Tagged(
    "type",
    Some("message"),
    &[
        (
            "message",
            &[
                may("id", TEXT_OR_NULL),
                must("role", Shape::Word(&["assistant", "system", "developer", "user"])),
                must("content", CONTENT),
                may("status", STATUS),
                may("phase", TEXT_OR_NULL),
            ],
        ),
        (
            "function_call",
            &[
                may("id", TEXT_OR_NULL),
                must("call_id", TEXT),
                must("name", TEXT),
                must("arguments", TEXT),
                may("status", STATUS),
                may("namespace", TEXT_OR_NULL),
                may("caller", MAP_OR_NULL),
            ],
        ),
        (
            "function_call_output",
            &[
                may("id", TEXT_OR_NULL),
                must("call_id", Shape::ShortText(64)),
                must("output", OUTPUT),
                may("status", STATUS),
                may("name", TEXT_OR_NULL),
                may("namespace", TEXT_OR_NULL),
                may("caller", MAP_OR_NULL),
            ],
        ),
        (
            "reasoning",
            &[
                must("id", TEXT),
                must("summary", list(&Shape::Tagged("type", None, &[("summary_text", &[must("text", TEXT)])]))),
                may("content", list(&Shape::Tagged("type", None, &[("reasoning_text", &[must("text", TEXT)])]))),
                may("encrypted_content", TEXT_OR_NULL),
                may("status", STATUS),
            ],
        ),
        ("item_reference", &[must("id", TEXT)]),
    ],
);

/// Function tools are flat here. Hosted tools are taken and never used.
const TOOLS: Shape = list(&Shape::Tagged(
    "type",
    None,
    &[
        (
            "function",
            &[
                must("name", Shape::Name(64)),
                may("description", TEXT_OR_NULL),
                may("parameters", MAP_OR_NULL),
                may("output_schema", MAP_OR_NULL),
                may("strict", SWITCH_OR_NULL),
                may("defer_loading", Shape::Switch),
                may("allowed_callers", Shape::Any),
            ],
        ),
        (
            "web_search",
            &[
                may("filters", MAP_OR_NULL),
                may("user_location", MAP_OR_NULL),
                may("search_context_size", Shape::Word(&["low", "medium", "high"])),
            ],
        ),
    ],
));
const TOOL_CHOICE: Shape = Shape::Either(&[
    Shape::Word(&["none", "auto", "required"]),
    Shape::Tagged(
        "type",
        None,
        &[
            ("function", &[must("name", TEXT)]),
            ("web_search", &[]),
            ("allowed_tools", &[must("mode", Shape::Word(&["auto", "required"])), must("tools", list(&Shape::Map))]),
        ],
    ),
]);
const FORMAT: Shape = Shape::Tagged(
    "type",
    None,
    &[
        ("text", &[]),
        ("json_object", &[]),
        (
            "json_schema",
            &[
                must("name", Shape::Name(64)),
                must("schema", Shape::Map),
                may("description", TEXT_OR_NULL),
                may("strict", SWITCH_OR_NULL),
            ],
        ),
    ],
);
const SUMMARY: Shape = Shape::Nullable(&Shape::Word(&["auto", "concise", "detailed"]));
const REASONING: Shape = Shape::Object(&[
    may("mode", TEXT_OR_NULL),
    may("effort", EFFORT),
    may("summary", SUMMARY),
    may("context", Shape::Nullable(&Shape::Word(&["auto", "current_turn", "all_turns"]))),
    may("generate_summary", SUMMARY),
]);
const INCLUDE: Shape = list(&Shape::Word(&[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]));

/// Responses.
pub(in super::super) const RESPONSES: &[Field] = &[
    must("model", TEXT),
    must("input", Shape::Either(&[TEXT, Shape::List(&ITEM, 1, usize::MAX)])),
    may("background", SWITCH_OR_NULL),
    may("context_management", Shape::Nullable(&Shape::List(&Shape::Map, 1, usize::MAX))),
    may("conversation", Shape::Nullable(&Shape::Either(&[TEXT, Shape::Map]))),
    may("include", Shape::Nullable(&INCLUDE)),
    may("instructions", TEXT_OR_NULL),
    may("max_output_tokens", Shape::Nullable(&Shape::Integer(16, ANY))),
    may("max_tool_calls", Shape::Nullable(&Shape::Integer(1, ANY))),
    may("metadata", METADATA),
    may("moderation", MODERATION),
    may("parallel_tool_calls", SWITCH_OR_NULL),
    may("previous_response_id", TEXT_OR_NULL),
    may("prompt", MAP_OR_NULL),
    may("prompt_cache_key", TEXT_OR_NULL),
    may("prompt_cache_options", CACHE_OPTIONS),
    may("prompt_cache_retention", CACHE_RETENTION),
    may("reasoning", Shape::Nullable(&REASONING)),
    may("safety_identifier", Shape::Nullable(&Shape::ShortText(64))),
    may(
        "service_tier",
        Shape::Nullable(&Shape::Word(&["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"])),
    ),
    may("store", SWITCH_OR_NULL),
    may("stream", SWITCH_OR_NULL),
    may("stream_options", Shape::Nullable(&Shape::Object(&[may("include_obfuscation", Shape::Switch)]))),
    may("temperature", Shape::Nullable(&Shape::Number(0.0, 2.0))),
    may("text", Shape::Nullable(&Shape::Object(&[may("format", FORMAT), may("verbosity", VERBOSITY)]))),
    may("tool_choice", Shape::Nullable(&TOOL_CHOICE)),
    may("tools", Shape::Nullable(&TOOLS)),
    may("top_logprobs", TOP_LOGPROBS),
    may("top_p", Shape::Nullable(&Shape::Number(0.0, 1.0))),
    may("truncation", Shape::Nullable(&Shape::Word(&["auto", "disabled"]))),
    may("user", TEXT_OR_NULL),
];
