//! A drawn answer: its choices, their parts and tokens, and the whole of it in each vendor's shape.
//!
//! It must not know time, HTTP or the books.

use providers::Dialect;
use serde_json::{Value, json};

use super::books::Tokens;
use super::chance::Chance;
use super::request::Asked;
use super::sound;
use super::tokens;
use super::wish::Wish;

/// Tokens of a thinking that is shown.
const THOUGHT: (u32, u32) = (10, 60);

/// What a part of a choice is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Mistral's visible thinking.
    Thinking,
    Text,
    Call {
        id: String,
        name: String,
    },
}

/// A part of a choice, cut into tokens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) kind: Kind,
    /// The text; of a call, its arguments.
    pub(super) text: String,
    /// Tokens before the first one of the text: those of a call's name.
    pub(super) silent: usize,
    /// Where each piece of the text ends.
    ends: Vec<usize>,
}

impl Segment {
    pub(super) fn new(kind: Kind, text: String) -> Self {
        let silent = match &kind {
            Kind::Call { name, .. } => tokens::pieces(name).count(),
            Kind::Thinking | Kind::Text => 0,
        };
        let mut end = 0;
        let ends = tokens::pieces(&text).map(|piece| {
            end += piece.len();
            end
        });
        Self { ends: ends.collect(), kind, text, silent }
    }

    /// The number of its tokens.
    pub(super) fn len(&self) -> usize {
        self.silent + self.ends.len()
    }

    /// One token of its text, empty for a silent one.
    pub(super) fn piece(&self, index: usize) -> &str {
        let Some(index) = index.checked_sub(self.silent) else { return "" };
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(index).and_then(|end| self.text.get(start..*end)).unwrap_or_default()
    }

    fn truncate(&mut self, tokens: usize) {
        self.silent = self.silent.min(tokens);
        self.ends.truncate(tokens - self.silent);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }
}

/// One choice, as it will be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Thinking, then a text or calls; none of them is empty.
    pub(super) segments: Vec<Segment>,
    len: usize,
    /// Hidden tokens, spent before the first visible one.
    pub(super) reasoning: u64,
    /// `stop`, `length` or `tool_calls`.
    pub(super) finish_reason: &'static str,
}

impl Choice {
    /// Draws a choice within what was asked.
    fn draw(dialect: Dialect, chance: &mut Chance, asked: &Asked, range: (u32, u32)) -> Self {
        let draft = chance.draft(range);
        let reasoning = if asked.reasons { draft.reasoning } else { 0 };
        let mut segments = Vec::with_capacity(1);
        if asked.thinks {
            segments.push(Segment::new(Kind::Thinking, chance.draft(THOUGHT).text));
        }
        match &asked.wish {
            Wish::Text if asked.opening.is_empty() => segments.push(Segment::new(Kind::Text, draft.text)),
            Wish::Text => segments.push(Segment::new(Kind::Text, format!("{} {}", asked.opening, draft.text))),
            Wish::Json(text) => segments.push(Segment::new(Kind::Text, text.clone())),
            Wish::Calls(calls) => segments.extend(calls.iter().map(|(name, arguments)| {
                let id = chance.call_id(dialect);
                Segment::new(Kind::Call { id, name: name.clone() }, arguments.clone())
            })),
        }
        Self::within(segments, reasoning, asked.limit)
    }

    /// These segments, cut where they pass `limit`, hidden tokens included.
    pub(super) fn within(mut segments: Vec<Segment>, wanted: u64, limit: u64) -> Self {
        let reasoning = wanted.min(limit);
        let mut room = usize::try_from(limit - reasoning).unwrap_or(usize::MAX);
        let mut cut = reasoning < wanted;
        for segment in &mut segments {
            if segment.len() > room {
                segment.truncate(room);
                cut = true;
            }
            room -= segment.len();
        }
        segments.retain(|segment| segment.len() > 0);
        let calls = segments.iter().any(|segment| matches!(segment.kind, Kind::Call { .. }));
        let finish_reason = match (cut, calls) {
            (true, _) => "length",
            (false, true) => "tool_calls",
            (false, false) => "stop",
        };
        let len = segments.iter().map(Segment::len).sum();
        Self { segments, len, reasoning, finish_reason }
    }

    /// The number of visible tokens.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The segment to which a token belongs, by its number, and the token's place in it.
    pub(super) fn at(&self, step: usize) -> Option<(usize, &Segment, usize)> {
        let mut before = 0;
        for (number, segment) in self.segments.iter().enumerate() {
            if step < before + segment.len() {
                return Some((number, segment, step - before));
            }
            before += segment.len();
        }
        None
    }

    /// The visible text.
    pub(super) fn text(&self) -> &str {
        self.segments.iter().find(|segment| segment.kind == Kind::Text).map_or("", |segment| &segment.text)
    }

    /// Whether the thinking is shown.
    pub(super) fn thinks(&self) -> bool {
        self.segments.first().is_some_and(|segment| segment.kind == Kind::Thinking)
    }

    /// The calls: id, name, arguments.
    pub(super) fn calls(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.segments.iter().filter_map(|segment| match &segment.kind {
            Kind::Call { id, name } => Some((id.as_str(), name.as_str(), segment.text.as_str())),
            Kind::Thinking | Kind::Text => None,
        })
    }

    /// Mistral's content: a text, or a list of chunks where the thinking is shown.
    fn mistral_content(&self) -> Value {
        let Some(thinking) = self.segments.first().filter(|segment| segment.kind == Kind::Thinking) else {
            return self.text().into();
        };
        let mut chunks = vec![json!({
            "type": "thinking",
            "thinking": [{"type": "text", "text": thinking.text}],
            "closed": self.segments.len() > 1 || self.finish_reason != "length",
        })];
        if !self.text().is_empty() {
            chunks.push(json!({"type": "text", "text": self.text()}));
        }
        chunks.into()
    }
}

/// A drawn answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) dialect: Dialect,
    /// The vendor's id of the answer.
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: i64,
    /// The model as the vendor names it in its answer.
    pub(super) model: String,
    pub(super) choices: Vec<Choice>,
    /// What the whole answer uses.
    pub(super) tokens: Tokens,
}

impl Answer {
    /// Draws an answer to what was asked.
    pub(super) fn draw(
        dialect: Dialect,
        chance: &mut Chance,
        asked: &Asked,
        range: (u32, u32),
        cached: u64,
        created: i64,
    ) -> Self {
        let choices: Vec<Choice> = (0..asked.choices).map(|_| Choice::draw(dialect, chance, asked, range)).collect();
        let output = choices.iter().map(|choice| choice.len() as u64 + choice.reasoning).sum();
        let (id, model) = match dialect {
            Dialect::Mistral => (format!("{:032x}", chance.id), asked.priced.asked_id.clone()),
            Dialect::Openai | Dialect::Compatible => {
                (format!("chatcmpl-{}", &format!("{:032x}", chance.id)[..29]), asked.priced.model.id.to_string())
            }
        };
        let tokens = Tokens {
            input: asked.prompt.input_tokens,
            cached,
            audio: asked.prompt.media.audio_tokens,
            audio_millis: asked.prompt.media.audio_millis,
            output,
            searches: 0,
        };
        Self { dialect, id, created, model, choices, tokens }
    }

    /// The number of steps in which it is generated: at each, every unfinished choice gets one token.
    pub(super) fn steps(&self) -> usize {
        self.choices.iter().map(Choice::len).max().unwrap_or(0).max(1)
    }

    /// Tokens generated by that step, hidden ones at the first.
    pub(super) fn tokens_of_step(&self, step: usize) -> u64 {
        let visible = self.choices.iter().filter(|choice| step < choice.len()).count() as u64;
        let hidden: u64 = if step == 0 { self.choices.iter().map(|choice| choice.reasoning).sum() } else { 0 };
        visible + hidden
    }

    /// Hidden tokens of all choices.
    pub(super) fn reasoning(&self) -> u64 {
        self.choices.iter().map(|choice| choice.reasoning).sum()
    }

    /// Exact usage, as the vendor reports it.
    pub(super) fn usage(&self) -> Value {
        let Tokens { input, cached, output, audio, audio_millis, .. } = self.tokens;
        let mut usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
        match self.dialect {
            Dialect::Mistral => {
                if cached > 0 {
                    usage["prompt_tokens_details"] = json!({"cached_tokens": cached});
                }
                if audio_millis > 0 {
                    usage["prompt_audio_seconds"] = sound::seconds(audio_millis).into();
                }
                usage["service_tier"] = "standard".into();
            }
            Dialect::Openai | Dialect::Compatible => {
                usage["prompt_tokens_details"] = json!({"cached_tokens": cached, "audio_tokens": audio});
                usage["completion_tokens_details"] = json!({
                    "reasoning_tokens": self.reasoning(),
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                });
            }
        }
        usage
    }

    /// The answer in one piece.
    pub(super) fn whole(&self) -> Value {
        let choices = self.choices.iter().enumerate().map(|(index, choice)| self.whole_choice(index, choice));
        let mut whole = json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": choices.collect::<Vec<_>>(),
            "usage": self.usage(),
        });
        if self.dialect != Dialect::Mistral {
            whole["service_tier"] = "default".into();
            whole["system_fingerprint"] = super::frames::FINGERPRINT.into();
        }
        whole
    }

    fn whole_choice(&self, index: usize, choice: &Choice) -> Value {
        let mistral = self.dialect == Dialect::Mistral;
        let calls = choice.calls().enumerate().map(|(number, (id, name, arguments))| {
            let mut call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
            if mistral {
                call["index"] = number.into();
            }
            call
        });
        let calls: Vec<Value> = calls.collect();
        if mistral {
            let tool_calls = if calls.is_empty() { Value::Null } else { calls.into() };
            return json!({
                "index": index,
                "message": {
                    "role": "assistant", "content": choice.mistral_content(), "tool_calls": tool_calls, "prefix": false,
                },
                "finish_reason": choice.finish_reason,
            });
        }
        let content = if calls.is_empty() { choice.text().into() } else { Value::Null };
        let mut message = json!({"role": "assistant", "content": content, "refusal": null, "annotations": []});
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        json!({"index": index, "message": message, "logprobs": null, "finish_reason": choice.finish_reason})
    }
}
