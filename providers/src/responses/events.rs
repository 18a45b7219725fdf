//! Chat chunks as the events of a streamed Response.
//!
//! Every item is announced, grown and ended, in OpenAI's order. A message ends when a call begins; a call ends when the
//! next item begins and its arguments are whole, else at the end: fragments of parallel calls may come mixed.

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::Echo;
use super::answer::{Head, Status, output, response, usage_of};
use super::item::{Item, Kind, call_parts, logprobs, reasoning_of};

/// Writes the events of one streamed Response.
pub(crate) struct EventWriter {
    echo: Echo,
    head: Option<Head>,
    items: Vec<Item>,
    /// How far each of the items is, in the same order.
    stages: Vec<Stage>,
    /// Index in chat and item of every call so far.
    calls: Vec<(u64, usize)>,
    status: Option<Status>,
    usage: Option<Value>,
    events: Events,
}

/// How far an item is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A call whose name is not known yet.
    Unnamed,
    Open,
    Done,
}

impl EventWriter {
    /// A writer that has written nothing.
    pub(crate) fn new(echo: Echo) -> Self {
        Self {
            echo,
            head: None,
            items: Vec::new(),
            stages: Vec::new(),
            calls: Vec::new(),
            status: None,
            usage: None,
            events: Events { sequence: 0 },
        }
    }

    /// Writes what one chat chunk, in OpenAI's shape, comes to.
    pub(crate) fn chunk(&mut self, chunk: &Value, out: &mut BytesMut) {
        self.begin(chunk, out);
        if let Some(usage) = usage_of(chunk) {
            self.usage = Some(usage);
        }
        let choices = chunk.get("choices").and_then(Value::as_array);
        for choice in choices.into_iter().flatten() {
            // The Responses API has one answer only.
            if choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0 {
                self.choice(choice, out);
            }
        }
    }

    /// Ends the Response: every item that is open, then the whole of it with its usage. To be called when the vendor
    /// has said how its answer ended; if it has not, the client is told, since silence must not look like success.
    pub(crate) fn finish(&mut self, out: &mut BytesMut) {
        let Some(status) = self.status else {
            out.put(self.error("The vendor's stream ended before its answer did.", "server_error"));
            return;
        };
        if status.needs_message(&self.items) {
            self.close(out);
            let index = self.add(Kind::Text);
            self.announce(index, out);
        }
        let last = self.items.len().saturating_sub(1);
        for index in 0..self.items.len() {
            self.end(index, if index == last { status.name() } else { "completed" }, out);
        }
        let head = self.head.clone().unwrap_or_default();
        let whole = response(&head, &self.echo, status, &output(&self.items, status), self.usage.take());
        self.events.write(out, &format!("response.{}", status.name()), json!({"response": whole}));
    }

    /// The event of a failure in the middle of the stream, the last one of it.
    ///
    /// It has the published shape of `ResponseErrorEvent`, and beside it the same as an `error` object: openai-python
    /// 3.54 and openai-node 6.49 raise an `APIError` (message, code and param from that object) for any event whose
    /// data has a truthy `error`, and hand the published shape alone to the caller as an event like the others, which
    /// then looks like a stream that just stopped.
    pub(crate) fn error(&mut self, message: &str, code: &str) -> Bytes {
        let sequence = self.events.sequence;
        self.events.sequence += 1;
        Self::error_event(sequence, message, code)
    }

    /// The same event with a given number, after events that somebody else has written.
    pub(crate) fn error_event(sequence: u64, message: &str, code: &str) -> Bytes {
        let mut out = BytesMut::new();
        let fields = json!({
            "code": code,
            "message": message,
            "param": null,
            "error": {"type": "server_error", "code": code, "message": message, "param": null},
        });
        Events { sequence }.write(&mut out, "error", fields);
        out.freeze()
    }

    fn begin(&mut self, chunk: &Value, out: &mut BytesMut) {
        if let Some(head) = &mut self.head {
            if let Some(tier) = chunk.get("service_tier").filter(|tier| !tier.is_null()) {
                head.service_tier = tier.clone();
            }
            return;
        }
        let head = Head::of(chunk);
        let started = response(&head, &self.echo, Status::InProgress, &[], None);
        self.events.write(out, "response.created", json!({"response": started}));
        self.events.write(out, "response.in_progress", json!({"response": started}));
        self.head = Some(head);
    }

    fn choice(&mut self, choice: &Value, out: &mut BytesMut) {
        let delta = choice.get("delta").unwrap_or(&Value::Null);
        let text = |key: &str| delta.get(key).and_then(Value::as_str).unwrap_or_default();
        self.grow(Kind::Reasoning, reasoning_of(delta), Vec::new(), out);
        self.grow(Kind::Text, text("content"), logprobs(choice), out);
        self.grow(Kind::Refusal, text("refusal"), Vec::new(), out);
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(call, out);
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            self.status = Some(Status::of_finish(reason));
        }
    }

    /// Adds to the item at the end when it is of this kind, else to a new one.
    fn grow(&mut self, kind: Kind, delta: &str, logprobs: Vec<Value>, out: &mut BytesMut) {
        if delta.is_empty() {
            return;
        }
        let index = match self.items.last() {
            Some(item) if item.kind == kind => self.items.len() - 1,
            _ => {
                self.close(out);
                let index = self.add(kind);
                self.announce(index, out);
                index
            }
        };
        self.append(index, delta, logprobs, out);
    }

    /// Adds a fragment of a call.
    fn call(&mut self, call: &Value, out: &mut BytesMut) {
        let (kind, name, arguments) = call_parts(call);
        let id = call.get("id").and_then(Value::as_str).unwrap_or_default();
        let index = self.call_item(call, kind, id, out);
        if self.stages.get(index) == Some(&Stage::Unnamed) {
            if let Some(item) = self.items.get_mut(index) {
                if item.call_id.is_empty() {
                    id.clone_into(&mut item.call_id);
                }
                if item.name.is_empty() {
                    name.clone_into(&mut item.name);
                }
                item.body.push_str(arguments);
                if !item.name.is_empty() && !item.call_id.is_empty() {
                    self.announce(index, out);
                }
            }
        } else if !arguments.is_empty() {
            self.append(index, arguments, Vec::new(), out);
        }
    }

    /// The item of a call's fragment. Some hosts number every call 0 or none at all: another id is another call.
    fn call_item(&mut self, call: &Value, kind: Kind, id: &str, out: &mut BytesMut) -> usize {
        let number = call.get("index").and_then(Value::as_u64);
        let known = self.calls.iter().rev().find(|(other, _)| number.is_none_or(|number| number == *other));
        let known = known.map(|(_, index)| *index);
        if let Some((index, item)) = known.and_then(|index| Some((index, self.items.get(index)?)))
            && (id.is_empty() || item.call_id.is_empty() || item.call_id == id)
        {
            return index;
        }
        self.close(out);
        let index = self.add(kind);
        let next = u64::try_from(self.calls.len()).unwrap_or(u64::MAX);
        self.calls.push((number.unwrap_or(next), index));
        index
    }

    fn add(&mut self, kind: Kind) -> usize {
        let index = self.items.len();
        let answer_id = self.head.as_ref().map(|head| head.id.as_str()).unwrap_or_default();
        self.items.push(Item::new(kind, answer_id, index));
        self.stages.push(if kind.is_call() { Stage::Unnamed } else { Stage::Open });
        index
    }

    /// Makes room for another item: ends what is open, save calls whose arguments are not whole yet. Clients number
    /// items as they are announced, so an earlier one is announced now or never.
    fn close(&mut self, out: &mut BytesMut) {
        for index in 0..self.items.len() {
            self.announce_unnamed(index, out);
            let may_grow = self.items.get(index).is_some_and(|item| match item.kind {
                Kind::Function => !is_whole_object(&item.body),
                Kind::Custom => true,
                Kind::Reasoning | Kind::Text | Kind::Refusal => false,
            });
            if !may_grow {
                self.end(index, "completed", out);
            }
        }
    }

    /// Announces a call that never said its name or id.
    fn announce_unnamed(&mut self, index: usize, out: &mut BytesMut) {
        if self.stages.get(index) == Some(&Stage::Unnamed) {
            if let Some(item) = self.items.get_mut(index).filter(|item| item.call_id.is_empty()) {
                item.call_id.clone_from(&item.id);
            }
            self.announce(index, out);
        }
    }

    /// Writes that an item begins, and what is known of it already.
    fn announce(&mut self, index: usize, out: &mut BytesMut) {
        let (Some(item), Some(stage)) = (self.items.get(index), self.stages.get_mut(index)) else { return };
        *stage = Stage::Open;
        self.events.write(out, "response.output_item.added", json!({"output_index": index, "item": item.announced()}));
        let empty = Item { body: String::new(), logprobs: Vec::new(), ..item.clone() };
        if let Some(part) = empty.part() {
            let fields = json!({"item_id": item.id, "output_index": index, "content_index": 0, "part": part});
            self.events.write(out, "response.content_part.added", fields);
        }
        if !item.body.is_empty() {
            self.events.delta(out, item, index, &item.body, &[]);
        }
    }

    fn append(&mut self, index: usize, delta: &str, logprobs: Vec<Value>, out: &mut BytesMut) {
        if self.stages.get(index) != Some(&Stage::Open) {
            return;
        }
        if let Some(item) = self.items.get_mut(index) {
            item.body.push_str(delta);
            self.events.delta(out, item, index, delta, &logprobs);
            item.logprobs.extend(logprobs);
        }
    }

    /// Writes that an item ends, unless it has.
    fn end(&mut self, index: usize, status: &str, out: &mut BytesMut) {
        self.announce_unnamed(index, out);
        let (Some(item), Some(stage)) = (self.items.get(index), self.stages.get_mut(index)) else { return };
        if std::mem::replace(stage, Stage::Done) == Stage::Done {
            return;
        }
        self.events.done(out, item, index);
        if let Some(part) = item.part() {
            let fields = json!({"item_id": item.id, "output_index": index, "content_index": 0, "part": part});
            self.events.write(out, "response.content_part.done", fields);
        }
        let fields = json!({"output_index": index, "item": item.with_status(status)});
        self.events.write(out, "response.output_item.done", fields);
    }
}

/// True for a whole JSON object: nothing but space can follow it.
fn is_whole_object(arguments: &str) -> bool {
    arguments.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(arguments).is_ok()
}

/// Numbers events and writes them.
struct Events {
    sequence: u64,
}

impl Events {
    fn write(&mut self, out: &mut BytesMut, kind: &str, fields: Value) {
        let mut event = Map::new();
        event.insert("type".into(), kind.into());
        event.insert("sequence_number".into(), self.sequence.into());
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        self.sequence += 1;
        out.put_slice(b"event: ");
        out.put_slice(kind.as_bytes());
        out.put_slice(b"\ndata: ");
        out.put_slice(&crate::to_json(&event));
        out.put_slice(b"\n\n");
    }

    fn delta(&mut self, out: &mut BytesMut, item: &Item, index: usize, delta: &str, logprobs: &[Value]) {
        let mut fields = place(item, index);
        fields.insert("delta".into(), delta.into());
        if item.kind == Kind::Text {
            fields.insert("logprobs".into(), logprobs.into());
        }
        self.write(out, &format!("{}.delta", item.kind.event_names().0), Value::Object(fields));
    }

    fn done(&mut self, out: &mut BytesMut, item: &Item, index: usize) {
        let (stem, key) = item.kind.event_names();
        let mut fields = place(item, index);
        fields.insert(key.into(), item.body.as_str().into());
        match item.kind {
            Kind::Text => drop(fields.insert("logprobs".into(), item.logprobs.as_slice().into())),
            Kind::Function => drop(fields.insert("name".into(), item.name.as_str().into())),
            _ => {}
        }
        self.write(out, &format!("{stem}.done"), Value::Object(fields));
    }
}

/// Where an event belongs.
fn place(item: &Item, index: usize) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("item_id".into(), item.id.as_str().into());
    fields.insert("output_index".into(), index.into());
    if !item.kind.is_call() {
        fields.insert("content_index".into(), 0.into());
    }
    fields
}

#[cfg(test)]
mod tests;
