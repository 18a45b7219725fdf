//! Moderations of both vendors.

use super::*;

const PATH: &str = "/v1/moderations";

#[tokio::test]
async fn openai_flags_by_word_and_names_what_it_looked_at() {
    let (router, vendor) = simulated(fast(Dialect::Openai));
    let (status, answer) = post(&router, PATH, &json!({"input": ["Où est la mairie ?", "Je vais le tuer."]})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let results = answer["results"].as_array().unwrap();
    assert_eq!((&results[0]["flagged"], &results[1]["flagged"]), (&json!(false), &json!(true)));
    assert_eq!(
        (&results[1]["categories"]["violence"], &results[1]["categories"]["hate"]),
        (&json!(true), &json!(false))
    );
    assert!(results[1]["category_scores"]["violence"].as_f64().unwrap() > 0.5);
    assert_eq!(results[0]["categories"].as_object().unwrap().len(), 13);
    assert_eq!(results[0]["category_applied_input_types"]["violence"], json!(["text"]));
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}});
    let parts = json!([{"type": "text", "text": "restituer"}, image]);
    let (_, answer) = post(&router, PATH, &json!({"model": "omni-moderation-latest", "input": parts})).await;
    let result = &answer["results"][0];
    assert_eq!((result["flagged"].clone(), answer["results"].as_array().unwrap().len()), (json!(false), 1));
    assert_eq!(result["category_applied_input_types"]["violence"], json!(["text", "image"]));
    assert_eq!(result["category_applied_input_types"]["hate"], json!(["text"]));
    let books = vendor.books();
    assert_eq!((books.answered, books.billed_nanos, books.input_tokens), (2, 0, 0));
    for change in [json!({"user": "x"}), json!({"model": OPENAI_MODEL}), json!({"input": [{"type": "text"}]})] {
        let body = with(json!({"input": "x"}), change);
        assert_eq!(post(&router, PATH, &body).await.0, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn mistral_has_other_categories_and_wants_its_model() {
    let (router, vendor) = simulated(fast(Dialect::Mistral));
    let body = json!({"model": "mistral-moderation-latest", "input": ["kill", "bonjour"]});
    let (status, answer) = post(&router, PATH, &body).await;
    assert_eq!((status, &answer["model"]), (StatusCode::OK, &json!("mistral-moderation-latest")));
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results[0]["categories"].as_object().unwrap().len(), 9);
    assert_eq!(results[0].get("flagged"), None);
    let verdict = |index: usize| results[index]["categories"]["violence_and_threats"].clone();
    assert_eq!((verdict(0), verdict(1)), (json!(true), json!(false)));
    assert_eq!((vendor.books().answered, vendor.books().billed_nanos), (1, 0));
    for (body, status) in [
        (json!({"input": "x"}), 422),
        (json!({"model": "mistral-moderation-latest", "input": [{"type": "text", "text": "x"}]}), 422),
        (json!({"model": MISTRAL_MODEL, "input": "x"}), 400),
    ] {
        assert_eq!(post(&router, PATH, &body).await.0.as_u16(), status);
    }
}
