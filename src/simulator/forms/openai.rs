//! OpenAI's requests. Unknown keys are refused; null is taken wherever a key may be left out.

use super::super::shape::{Field, Shape, list, may, must};

/// No bound.
pub(super) const ANY: i64 = i64::MAX;

pub(super) const TEXT: Shape = Shape::Text;
pub(super) const TEXT_OR_NULL: Shape = Shape::Nullable(&Shape::Text);
pub(super) const SWITCH_OR_NULL: Shape = Shape::Nullable(&Shape::Switch);
pub(super) const MAP_OR_NULL: Shape = Shape::Nullable(&Shape::Map);
const BREAKPOINT: Field = may("prompt_cache_breakpoint", Shape::Object(&[must("mode", Shape::Word(&["explicit"]))]));

const TEXT_PART: &[Field] = &[must("text", TEXT), BREAKPOINT];
const REFUSAL_PART: &[Field] = &[must("refusal", TEXT)];
const IMAGE_PART: &[Field] = &[
    must(
        "image_url",
        Shape::Object(&[must("url", TEXT), may("detail", Shape::Word(&["auto", "low", "high", "original"]))]),
    ),
    BREAKPOINT,
];
const AUDIO_PART: &[Field] = &[
    must("input_audio", Shape::Object(&[must("data", TEXT), must("format", Shape::Word(&["wav", "mp3"]))])),
    BREAKPOINT,
];
const FILE_PART: &[Field] =
    &[must("file", Shape::Object(&[may("filename", TEXT), may("file_data", TEXT), may("file_id", TEXT)])), BREAKPOINT];

const fn parts(variants: &'static Shape) -> Shape {
    Shape::List(variants, 1, usize::MAX)
}

const TEXT_PARTS: Shape = parts(&Shape::Tagged("type", None, &[("text", TEXT_PART)]));
const TEXT_CONTENT: Shape = Shape::Either(&[TEXT, TEXT_PARTS]);
const USER_CONTENT: Shape = Shape::Either(&[
    TEXT,
    parts(&Shape::Tagged(
        "type",
        None,
        &[("text", TEXT_PART), ("image_url", IMAGE_PART), ("input_audio", AUDIO_PART), ("file", FILE_PART)],
    )),
]);
const ASSISTANT_CONTENT: Shape = Shape::Nullable(&Shape::Either(&[
    TEXT,
    parts(&Shape::Tagged("type", None, &[("text", TEXT_PART), ("refusal", REFUSAL_PART)])),
]));

const CALL: Shape = Shape::Object(&[must("name", TEXT), must("arguments", TEXT)]);
const TOOL_CALLS: Shape = Shape::List(
    &Shape::Tagged(
        "type",
        None,
        &[
            ("function", &[must("id", TEXT), must("function", CALL)]),
            ("custom", &[must("id", TEXT), must("custom", Shape::Object(&[must("name", TEXT), must("input", TEXT)]))]),
        ],
    ),
    1,
    128,
);

const LEADING: &[Field] = &[must("content", TEXT_CONTENT), may("name", TEXT)];
const MESSAGES: Shape = Shape::List(
    &Shape::Tagged(
        "role",
        None,
        &[
            ("system", LEADING),
            (
                "assistant",
                &[
                    may("content", ASSISTANT_CONTENT),
                    may("refusal", TEXT_OR_NULL),
                    may("name", TEXT),
                    may("audio", Shape::Nullable(&Shape::Object(&[must("id", TEXT)]))),
                    may("tool_calls", TOOL_CALLS),
                    may("function_call", Shape::Nullable(&CALL)),
                ],
            ),
            ("user", &[must("content", USER_CONTENT), may("name", TEXT)]),
            ("function", &[must("content", TEXT_OR_NULL), must("name", TEXT)]),
            ("tool", &[must("content", TEXT_CONTENT), must("tool_call_id", TEXT)]),
            ("developer", LEADING),
        ],
    ),
    1,
    usize::MAX,
);

/// Kept under 64 characters by the vendor's description.
const NAME: Shape = Shape::Name(64);
const FUNCTION: Shape = Shape::Object(&[
    must("name", NAME),
    may("description", TEXT_OR_NULL),
    may("parameters", MAP_OR_NULL),
    may("strict", SWITCH_OR_NULL),
]);
const TOOLS: Shape = Shape::List(
    &Shape::Tagged(
        "type",
        None,
        &[
            ("function", &[must("function", FUNCTION)]),
            (
                "custom",
                &[must(
                    "custom",
                    Shape::Object(&[must("name", NAME), may("description", TEXT_OR_NULL), may("format", Shape::Map)]),
                )],
            ),
        ],
    ),
    1,
    128,
);
const NAMED: Shape = Shape::Object(&[must("name", TEXT)]);
const TOOL_CHOICE: Shape = Shape::Either(&[
    Shape::Word(&["none", "auto", "required"]),
    Shape::Tagged(
        "type",
        None,
        &[
            ("function", &[must("function", NAMED)]),
            ("custom", &[must("custom", NAMED)]),
            (
                "allowed_tools",
                &[must(
                    "allowed_tools",
                    Shape::Object(&[
                        must("mode", Shape::Word(&["auto", "required"])),
                        must("tools", list(&Shape::Map)),
                    ]),
                )],
            ),
        ],
    ),
]);
const RESPONSE_FORMAT: Shape = Shape::Tagged(
    "type",
    None,
    &[
        ("text", &[]),
        ("json_object", &[]),
        (
            "json_schema",
            &[must(
                "json_schema",
                Shape::Object(&[
                    must("name", NAME),
                    may("description", TEXT_OR_NULL),
                    may("schema", Shape::Map),
                    may("strict", SWITCH_OR_NULL),
                ]),
            )],
        ),
    ],
);

pub(super) const EFFORT: Shape =
    Shape::Nullable(&Shape::Word(&["none", "minimal", "low", "medium", "high", "xhigh", "max"]));
pub(super) const VERBOSITY: Shape = Shape::Nullable(&Shape::Word(&["low", "medium", "high"]));
/// At most 512 characters a value; the number of pairs is for `rules`.
pub(super) const METADATA: Shape = Shape::Nullable(&Shape::MapOf(&Shape::ShortText(512)));
pub(super) const TOP_LOGPROBS: Shape = Shape::Nullable(&Shape::Integer(0, 20));
pub(super) const CACHE_OPTIONS: Shape = Shape::Nullable(&Shape::Object(&[may("ttl", TEXT), may("mode", TEXT)]));
pub(super) const CACHE_RETENTION: Shape = Shape::Nullable(&Shape::Word(&["in_memory", "24h"]));
pub(super) const MODERATION: Shape =
    Shape::Nullable(&Shape::Object(&[must("model", TEXT), may("policy", MAP_OR_NULL)]));
const PENALTY: Shape = Shape::Nullable(&Shape::Number(-2.0, 2.0));

/// Chat completions.
pub(in super::super) const CHAT: &[Field] = &[
    must("messages", MESSAGES),
    must("model", TEXT),
    may("audio", MAP_OR_NULL),
    may("frequency_penalty", PENALTY),
    may("function_call", Shape::Nullable(&Shape::Either(&[Shape::Word(&["none", "auto"]), NAMED]))),
    may(
        "functions",
        Shape::Nullable(&Shape::List(
            &Shape::Object(&[must("name", NAME), may("description", TEXT_OR_NULL), may("parameters", MAP_OR_NULL)]),
            1,
            128,
        )),
    ),
    may("logit_bias", Shape::Nullable(&Shape::MapOf(&Shape::Integer(-100, 100)))),
    may("logprobs", SWITCH_OR_NULL),
    may("max_completion_tokens", Shape::Nullable(&Shape::Integer(1, ANY))),
    may("max_tokens", Shape::Nullable(&Shape::Integer(1, ANY))),
    may("metadata", METADATA),
    may("modalities", Shape::Nullable(&Shape::List(&Shape::Word(&["text", "audio"]), 1, 2))),
    may("moderation", MODERATION),
    may("n", Shape::Nullable(&Shape::Integer(1, 128))),
    may("parallel_tool_calls", SWITCH_OR_NULL),
    may(
        "prediction",
        Shape::Nullable(&Shape::Object(&[must("type", Shape::Word(&["content"])), must("content", TEXT_CONTENT)])),
    ),
    may("presence_penalty", PENALTY),
    may("prompt_cache_key", TEXT_OR_NULL),
    may("prompt_cache_options", CACHE_OPTIONS),
    may("prompt_cache_retention", CACHE_RETENTION),
    may("reasoning_effort", EFFORT),
    may("response_format", Shape::Nullable(&RESPONSE_FORMAT)),
    may("safety_identifier", Shape::Nullable(&Shape::ShortText(64))),
    may("seed", Shape::Nullable(&Shape::Integer(i64::MIN, ANY))),
    may("service_tier", Shape::Nullable(&Shape::Word(&["auto", "default", "flex", "scale", "priority", "fast"]))),
    may("stop", Shape::Nullable(&Shape::Either(&[TEXT, Shape::List(&TEXT, 1, 4)]))),
    may("store", SWITCH_OR_NULL),
    may("stream", SWITCH_OR_NULL),
    may(
        "stream_options",
        Shape::Nullable(&Shape::Object(&[
            may("include_usage", Shape::Switch),
            may("include_obfuscation", Shape::Switch),
        ])),
    ),
    may("temperature", Shape::Nullable(&Shape::Number(0.0, 2.0))),
    may("tool_choice", Shape::Nullable(&TOOL_CHOICE)),
    may("tools", Shape::Nullable(&TOOLS)),
    may("top_logprobs", TOP_LOGPROBS),
    may("top_p", Shape::Nullable(&Shape::Number(0.0, 1.0))),
    may("user", TEXT_OR_NULL),
    may("verbosity", VERBOSITY),
    may("web_search_options", MAP_OR_NULL),
];

/// Embeddings: texts or tokens.
pub(in super::super) const EMBEDDINGS: &[Field] = &[
    must(
        "input",
        Shape::Either(&[
            TEXT,
            Shape::List(&TEXT, 1, 2048),
            Shape::List(&Shape::Integer(0, ANY), 1, 2048),
            Shape::List(&Shape::List(&Shape::Integer(0, ANY), 1, usize::MAX), 1, 2048),
        ]),
    ),
    must("model", TEXT),
    may("encoding_format", Shape::Nullable(&Shape::Word(&["float", "base64"]))),
    may("dimensions", Shape::Nullable(&Shape::Integer(1, ANY))),
    may("user", TEXT_OR_NULL),
];

/// Moderations: the model may be left out.
pub(in super::super) const MODERATIONS: &[Field] = &[
    must(
        "input",
        Shape::Either(&[
            TEXT,
            list(&TEXT),
            list(&Shape::Tagged(
                "type",
                None,
                &[
                    ("text", &[must("text", TEXT)]),
                    ("image_url", &[must("image_url", Shape::Object(&[must("url", TEXT)]))]),
                ],
            )),
        ]),
    ),
    may("model", TEXT),
];

/// The fields of a transcription's form; `[]` marks those that repeat.
pub(in super::super) const TRANSCRIPTIONS: &[&str] = &[
    "file",
    "model",
    "language",
    "languages[]",
    "languages",
    "keywords[]",
    "keywords",
    "prompt",
    "response_format",
    "temperature",
    "include[]",
    "include",
    "timestamp_granularities[]",
    "timestamp_granularities",
    "stream",
    "chunking_strategy",
    "known_speaker_names[]",
    "known_speaker_names",
    "known_speaker_references[]",
    "known_speaker_references",
];
