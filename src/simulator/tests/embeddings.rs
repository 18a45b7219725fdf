//! Embeddings of both vendors.

use data_encoding::BASE64;

use super::*;

const PATH: &str = "/v1/embeddings";

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[tokio::test]
async fn vectors_have_unit_length_and_depend_on_the_text_alone() {
    for (dialect, model, length) in
        [(Dialect::Openai, "text-embedding-3-small", 1536), (Dialect::Mistral, "mistral-embed", 1024)]
    {
        let (router, vendor) = simulated(fast(dialect));
        let body = json!({"model": model, "input": ["La mairie", "Le port", "La mairie"]});
        let (status, answer) = post(&router, PATH, &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let vectors: Vec<Vec<f64>> =
            answer["data"].as_array().unwrap().iter().map(|entry| floats(&entry["embedding"])).collect();
        assert_eq!(vectors.iter().map(Vec::len).collect::<Vec<_>>(), [length; 3]);
        assert!((vectors[0].iter().map(|number| number * number).sum::<f64>() - 1.0).abs() < 1e-4);
        assert!(vectors[0] == vectors[2] && vectors[0] != vectors[1]);
        let tokens: u64 = ["La mairie", "Le port", "La mairie"].iter().map(|text| tokens::count(text)).sum();
        assert_eq!(usage_of(&answer["usage"]).input_tokens(), tokens);
        assert_eq!(answer["usage"].get("completion_tokens").is_some(), dialect == Dialect::Mistral);
        assert_eq!(answer.get("id").is_some(), dialect == Dialect::Mistral);
        let books = vendor.books();
        assert_eq!((books.answered, books.input_tokens, books.output_tokens), (1, tokens, 0));
        assert!(books.billed_nanos > 0);
        let (_, packed) = post(&router, PATH, &with(body, json!({"encoding_format": "base64"}))).await;
        let bytes = BASE64.decode(packed["data"][1]["embedding"].as_str().unwrap().as_bytes()).unwrap();
        let unpacked: Vec<f64> =
            bytes.chunks_exact(4).map(|four| f64::from(f32::from_le_bytes(four.try_into().unwrap()))).collect();
        assert!(unpacked.iter().zip(&vectors[1]).all(|(left, right)| (left - right).abs() < 1e-6));
    }
}

#[tokio::test]
async fn vectors_can_be_shorter_and_inputs_can_be_tokens() {
    let (router, _) = simulated(fast(Dialect::Openai));
    let ask = |input: Value| json!({"model": "text-embedding-3-large", "input": input, "dimensions": 8});
    for (input, entries, tokens) in [(json!([1, 2, 3]), 1, 3), (json!([[1], [2, 3]]), 2, 3), (json!("oui"), 1, 1)] {
        let (_, answer) = post(&router, PATH, &ask(input)).await;
        assert_eq!(answer["data"].as_array().unwrap().len(), entries);
        assert_eq!(
            (floats(&answer["data"][0]["embedding"]).len(), &answer["usage"]["total_tokens"]),
            (8, &json!(tokens))
        );
    }
    let (router, _) = simulated(fast(Dialect::Mistral));
    let body = json!({"model": "codestral-embed", "input": "oui", "output_dimension": 16, "output_dtype": "float"});
    assert_eq!(floats(&post(&router, PATH, &body).await.1["data"][0]["embedding"]).len(), 16);
}

#[tokio::test]
async fn each_vendor_refuses_what_it_does_not_take() {
    let (router, vendor) = simulated(fast(Dialect::Openai));
    let body = json!({"model": "text-embedding-3-small", "input": "x"});
    let cases = [
        (json!({"output_dimension": 8}), 400, "unknown_parameter"),
        (json!({"dimensions": 1537}), 400, "invalid_value"),
        (json!({"model": "text-embedding-ada-002", "dimensions": 8}), 400, ""),
        (json!({"input": []}), 400, "empty_array"),
        (json!({"input": ""}), 400, "invalid_value"),
        (json!({"input": {"text": "x"}}), 400, "invalid_type"),
        (json!({"encoding_format": "int8"}), 400, "invalid_value"),
        (json!({"input": "mot ".repeat(9000)}), 400, "context_length_exceeded"),
        (json!({"model": "inconnu"}), 404, "model_not_found"),
        (json!({"model": OPENAI_MODEL}), 403, ""),
    ];
    let count = cases.len() as u64;
    for (change, status, code) in cases {
        let (given, answer) = post(&router, PATH, &with(body.clone(), change)).await;
        assert_eq!((given.as_u16(), answer["error"]["code"].as_str().unwrap_or_default()), (status, code), "{answer}");
    }
    assert_eq!(vendor.books(), Books { calls: count, errors: count, ..Books::default() });
    let (router, _) = simulated(fast(Dialect::Mistral));
    let body = json!({"model": "mistral-embed", "input": "x"});
    let cases = [
        (json!({"dimensions": 8}), 422),
        (json!({"user": "x"}), 422),
        (json!({"input": [1, 2]}), 422),
        (json!({"encoding_format": null}), 422),
        (json!({"output_dimension": 8}), 400),
        (json!({"model": MISTRAL_MODEL}), 400),
    ];
    for (change, status) in cases {
        assert_eq!(post(&router, PATH, &with(body.clone(), change)).await.0.as_u16(), status);
    }
}
