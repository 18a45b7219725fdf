//! What the frames of a streamed answer say to a person, for those parts of the gateway that read answers themselves.
//!
//! Frames are read as any client reads them. It must not know which vendor answers, nor keep a text.

use providers::sse::FrameSplitter;
use serde::Deserialize;
use serde_json::Value;

/// What the frames that are there whole say together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Visible text: content, or the words of a refusal.
    pub text: String,
    /// Whether there is content at all: text, or what a model thinks and no person sees.
    pub is_content: bool,
}

/// What is read of a chunk. Usage, ids and reasons are not even understood.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    /// What a model thinks, under either of the names that hosts give it, or under both.
    reasoning_content: Option<Value>,
    reasoning: Option<Value>,
}

impl Said {
    /// Reads all frames that have come whole. What is no chunk (the end, a failure) says nothing; a frame that is too long
    /// for the splitter is too long for every client.
    pub fn read(splitter: &mut FrameSplitter) -> Self {
        let mut said = Self::default();
        while let Ok(Some(frame)) = splitter.next_frame() {
            let chunk: Option<Chunk> = frame.data().and_then(|data| serde_json::from_slice(&data).ok());
            for Choice { delta } in chunk.into_iter().flat_map(|chunk| chunk.choices) {
                said.add(delta);
            }
        }
        said
    }

    fn add(&mut self, delta: Delta) {
        let before = self.text.len();
        self.text.extend([delta.content, delta.refusal].into_iter().flatten());
        let mut thoughts = [delta.reasoning_content, delta.reasoning].into_iter().flatten();
        let thought = thoughts.any(|thought| thought.as_str() != Some(""));
        self.is_content |= thought || self.text.len() > before;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn said(pieces: &[&str]) -> Vec<(String, bool)> {
        let mut splitter = FrameSplitter::new();
        let read = |piece: &&str| {
            splitter.push(Bytes::copy_from_slice(piece.as_bytes()));
            let Said { text, is_content } = Said::read(&mut splitter);
            (text, is_content)
        };
        pieces.iter().map(read).collect()
    }

    fn chunk(delta: &str) -> String {
        format!("data: {{\"id\":\"x\",\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n")
    }

    #[test]
    fn only_what_a_person_sees_is_read_as_text() {
        let burst = chunk(r#"{"role":"assistant","content":""}"#) + &chunk(r#"{"content":"Bon"}"#);
        assert_eq!(said(&[&(burst + &chunk(r#"{"content":"jour\n"}"#))]), [("Bonjour\n".to_owned(), true)]);
        assert_eq!(said(&[&chunk(r#"{"refusal":"Je ne peux pas."}"#)]), [("Je ne peux pas.".to_owned(), true)]);
    }

    #[test]
    fn thoughts_are_content_and_no_text() {
        for name in ["reasoning_content", "reasoning"] {
            assert_eq!(said(&[&chunk(&format!("{{\"{name}\":\"hm\",\"content\":null}}"))]), [(String::new(), true)]);
        }
    }

    #[test]
    fn thoughts_under_both_names_cost_no_text() {
        let both = chunk(r#"{"content":"Oui","reasoning_content":"hm","reasoning":"hm"}"#);
        assert_eq!(said(&[&both]), [("Oui".to_owned(), true)]);
        assert_eq!(said(&[&chunk(r#"{"content":"Oui","reasoning":{"summary":"hm"}}"#)]), [("Oui".to_owned(), true)]);
    }

    #[test]
    fn what_is_no_chunk_says_nothing() {
        let nothing = [(String::new(), false)];
        assert_eq!(said(&[&chunk(r#"{"role":"assistant","content":""}"#)]), nothing);
        assert_eq!(
            said(&["data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n"]),
            nothing
        );
        let others = "data: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\ndata: {\"error\":{\"message\":\"no\"}}\n\n: ping\n\ndata: [DONE]\n\n";
        assert_eq!(said(&[others]), nothing);
    }

    #[test]
    fn a_chunk_in_two_parts_is_read_once_it_is_whole() {
        let parts = ["data: {\"choices\":[{\"delta\":{\"con", "tent\":\"Oui\"}}]}\n", "\n"];
        assert_eq!(said(&parts)[2], ("Oui".to_owned(), true));
    }
}
