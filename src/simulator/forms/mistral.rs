//! Mistral's requests: closed everywhere, and null only where the published schema says so.

use super::super::shape::{Field, Shape, list, may, must};

/// No bound.
const ANY: i64 = i64::MAX;

const TEXT: Shape = Shape::Text;
const TEXT_OR_NULL: Shape = Shape::Nullable(&Shape::Text);
const MAP_OR_NULL: Shape = Shape::Nullable(&Shape::Map);

const TEXT_PART: &[Field] = &[must("text", TEXT)];
const REFERENCE_PART: &[Field] = &[must("reference_ids", list(&Shape::Either(&[Shape::Integer(i64::MIN, ANY), TEXT])))];
const TOOL_REFERENCE_PART: &[Field] = &[
    must("tool", TEXT),
    must("title", TEXT),
    may("url", TEXT_OR_NULL),
    may("favicon", TEXT_OR_NULL),
    may("description", TEXT_OR_NULL),
];
const THINKING_PART: &[Field] = &[
    must(
        "thinking",
        list(&Shape::Tagged(
            "type",
            Some("text"),
            &[("text", TEXT_PART), ("reference", REFERENCE_PART), ("tool_reference", TOOL_REFERENCE_PART)],
        )),
    ),
    may("signature", TEXT_OR_NULL),
    may("closed", Shape::Switch),
];
const IMAGE_PART: &[Field] = &[must(
    "image_url",
    Shape::Either(&[
        TEXT,
        Shape::Object(&[must("url", TEXT), may("detail", Shape::Nullable(&Shape::Word(&["low", "auto", "high"])))]),
    ]),
)];

const PARTS: Shape = list(&Shape::Tagged(
    "type",
    None,
    &[
        ("image_url", IMAGE_PART),
        ("document_url", &[must("document_url", TEXT), may("document_name", TEXT_OR_NULL)]),
        ("text", TEXT_PART),
        ("reference", REFERENCE_PART),
        ("file", &[must("file_id", TEXT)]),
        ("thinking", THINKING_PART),
        ("input_audio", &[must("input_audio", TEXT)]),
    ],
));
const CONTENT: Shape = Shape::Nullable(&Shape::Either(&[TEXT, PARTS]));
const SYSTEM_CONTENT: Shape =
    Shape::Either(&[TEXT, list(&Shape::Tagged("type", None, &[("text", TEXT_PART), ("thinking", THINKING_PART)]))]);

const FUNCTION_ONLY: Shape = Shape::Word(&["function"]);
const TOOL_CALL: Shape = Shape::Object(&[
    may("id", TEXT),
    may("type", FUNCTION_ONLY),
    must("function", Shape::Object(&[must("name", TEXT), must("arguments", Shape::Either(&[TEXT, Shape::Map]))])),
    may("index", Shape::Integer(i64::MIN, ANY)),
]);

const MESSAGES: Shape = Shape::List(
    &Shape::Tagged(
        "role",
        None,
        &[
            (
                "assistant",
                &[
                    may("content", CONTENT),
                    may("tool_calls", Shape::Nullable(&list(&TOOL_CALL))),
                    may("prefix", Shape::Switch),
                ],
            ),
            ("system", &[must("content", SYSTEM_CONTENT)]),
            ("tool", &[must("content", CONTENT), may("tool_call_id", TEXT_OR_NULL), may("name", TEXT_OR_NULL)]),
            ("user", &[must("content", CONTENT)]),
        ],
    ),
    1,
    usize::MAX,
);

/// `description` and `strict` are not nullable, `parameters` is required.
const FUNCTION: Shape = Shape::Object(&[
    must("name", Shape::Name(64)),
    may("description", TEXT),
    may("strict", Shape::Switch),
    must("parameters", Shape::Map),
]);
const BUILT_IN: &[Field] = &[may("tool_configuration", MAP_OR_NULL)];
/// An empty list was refused; 128 is the documented most.
const TOOLS: Shape = Shape::List(
    &Shape::Tagged(
        "type",
        Some("function"),
        &[
            ("function", &[must("function", FUNCTION)]),
            ("web_search", BUILT_IN),
            ("web_search_premium", BUILT_IN),
            ("code_interpreter", BUILT_IN),
            ("image_generation", BUILT_IN),
            ("document_library", &[may("tool_configuration", MAP_OR_NULL), must("library_ids", list(&TEXT))]),
            (
                "connector",
                &[
                    must("connector_id", TEXT),
                    may("authorization", MAP_OR_NULL),
                    may("tool_configuration", MAP_OR_NULL),
                ],
            ),
        ],
    ),
    1,
    128,
);
const TOOL_CHOICE: Shape = Shape::Either(&[
    Shape::Word(&["auto", "none", "any", "required"]),
    Shape::Object(&[may("type", FUNCTION_ONLY), must("function", Shape::Object(&[must("name", TEXT)]))]),
]);

const RESPONSE_FORMAT: Shape = Shape::Object(&[
    may("type", Shape::Word(&["text", "json_object", "json_schema"])),
    may(
        "json_schema",
        Shape::Nullable(&Shape::Object(&[
            must("name", TEXT),
            may("description", TEXT_OR_NULL),
            must("schema", Shape::Map),
            may("strict", Shape::Switch),
        ])),
    ),
]);

/// Chat completions.
pub(in super::super) const CHAT: &[Field] = &[
    must("model", TEXT),
    must("messages", MESSAGES),
    may("temperature", Shape::Nullable(&Shape::Number(0.0, 1.5))),
    may("top_p", Shape::Nullable(&Shape::Positive(1.0))),
    may("max_tokens", Shape::Nullable(&Shape::Integer(0, ANY))),
    may("stream", Shape::Switch),
    may("stop", Shape::Nullable(&Shape::Either(&[TEXT, list(&TEXT)]))),
    may("random_seed", Shape::Nullable(&Shape::Integer(0, ANY))),
    may("metadata", MAP_OR_NULL),
    may("response_format", RESPONSE_FORMAT),
    may("tools", Shape::Nullable(&TOOLS)),
    may("tool_choice", TOOL_CHOICE),
    may("presence_penalty", Shape::Nullable(&Shape::Number(-2.0, 2.0))),
    may("frequency_penalty", Shape::Nullable(&Shape::Number(-2.0, 2.0))),
    // No most is published: what OpenAI takes is enough for anybody.
    may("n", Shape::Nullable(&Shape::Integer(1, 128))),
    may("prediction", Shape::Object(&[may("type", Shape::Word(&["content"])), may("content", TEXT)])),
    may("parallel_tool_calls", Shape::Switch),
    may("reasoning_effort", Shape::Nullable(&Shape::Word(&["none", "minimal", "low", "medium", "high", "xhigh"]))),
    may("prompt_mode", Shape::Nullable(&Shape::Word(&["reasoning"]))),
    may("guardrails", Shape::Nullable(&list(&Shape::Map))),
    may("prompt_cache_key", TEXT_OR_NULL),
    may("service_tier", Shape::Nullable(&Shape::Word(&["auto", "standard_only"]))),
    may("safe_prompt", Shape::Switch),
];

const TEXTS: Shape = Shape::Either(&[TEXT, list(&TEXT)]);

/// Embeddings: texts only.
pub(in super::super) const EMBEDDINGS: &[Field] = &[
    must("model", TEXT),
    must("input", TEXTS),
    may("metadata", MAP_OR_NULL),
    may("output_dimension", Shape::Nullable(&Shape::Integer(1, ANY))),
    may("output_dtype", Shape::Word(&["float", "int8", "uint8", "binary", "ubinary"])),
    may("encoding_format", Shape::Word(&["float", "base64"])),
];

/// Moderations: the model is required.
pub(in super::super) const MODERATIONS: &[Field] =
    &[must("model", TEXT), must("input", TEXTS), may("metadata", MAP_OR_NULL)];

/// The fields of a transcription's form.
pub(in super::super) const TRANSCRIPTIONS: &[&str] = &[
    "model",
    "file",
    "file_url",
    "file_id",
    "language",
    "temperature",
    "stream",
    "diarize",
    "context_bias",
    "timestamp_granularities",
];
