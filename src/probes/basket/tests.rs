use std::collections::BTreeSet;

use super::check::{self, Check, Decimal, Verdict};
use super::{BASKET_TOML, Basket, Question};
use crate::ledger::LengthClass;

/// SHA-256 of version 1. A basket is frozen: whoever changes a byte of `basket.toml` gives it a new `version`, puts the
/// new digest here, and starts new series of figures.
const DIGEST_OF_VERSION_1: &str = "17594b857095590151bf4ad0251ac4b6395d9b2e41f1b018b946fddab8950699";

const CLASSES: [LengthClass; 3] = [LengthClass::Short, LengthClass::Medium, LengthClass::Long];

fn shipped() -> Basket {
    Basket::shipped().unwrap()
}

fn page(question: &str) -> String {
    format!(
        "version = \"1\"\nlanguage = \"fr\"\n[[passages]]\nid = \"p\"\ntitle = \"Port\"\ntext = \"Appelez le 05 36 49 13 50.\"\n\
         [[questions]]\nid = \"q\"\nclass = \"short\"\nmax_output_tokens = 300\ntext = \"Combien ?\"\n{question}"
    )
}

/// The value of sums, products and quotients such as `2 * 4.30 + 3.10`, as a fraction, with the numbers in it.
fn evaluate(sum: &str) -> (i128, i128, Vec<String>) {
    let (mut total, mut operands) = ((0_i128, 1_i128), Vec::new());
    let (mut term, mut sign, mut divide) = ((1_i128, 1_i128), 1, false);
    for piece in sum.split(' ') {
        match piece {
            "+" | "-" => {
                total = (total.0 * term.1 + sign * term.0 * total.1, total.1 * term.1);
                (term, sign) = ((1, 1), if piece == "+" { 1 } else { -1 });
            }
            "*" | "/" => divide = piece == "/",
            number => {
                let fraction = number.split_once('.').map_or("", |parts| parts.1);
                let value: i128 = number.replace('.', "").parse().unwrap();
                let scale = 10_i128.pow(u32::try_from(fraction.len()).unwrap());
                term = if divide { (term.0 * scale, term.1 * value) } else { (term.0 * value, term.1 * scale) };
                divide = false;
                operands.push(number.to_owned());
            }
        }
    }
    (total.0 * term.1 + sign * term.0 * total.1, total.1 * term.1, operands)
}

fn number(text: &str) -> Check {
    Check::Number { value: Decimal::try_from(text.to_owned()).unwrap(), derived: None }
}

fn passed(check: &Check, text: &str) -> bool {
    check::run(check, text) == Verdict::Passed
}

/// What a question's vendor is shown to answer from: each page, or the letter in the question.
fn sources(basket: &Basket, question: &Question) -> Vec<String> {
    let mut sources: Vec<String> =
        basket.passages_of(question).unwrap().iter().map(|passage| passage.text.clone()).collect();
    if question.class == LengthClass::Medium {
        sources.push(question.text.clone());
    }
    sources
}

#[test]
fn version_1_has_not_changed() {
    let basket = shipped();
    assert_eq!(basket.version, "1");
    assert_eq!(basket.digest(), DIGEST_OF_VERSION_1, "a changed file needs a new version number");
}

#[test]
fn another_byte_gives_another_digest() {
    let before = Basket::parse(&page("check = [{ kind = \"number\", value = \"4\" }]")).unwrap();
    let after = Basket::parse(&page("check = [{ kind = \"number\", value = \"5\" }]")).unwrap();
    assert_ne!(before.digest(), after.digest());
    let longer = Basket::parse(&format!("{BASKET_TOML}\n")).unwrap();
    assert_ne!(longer.digest(), shipped().digest(), "a line's end counts");
    assert_eq!(longer.digest().len(), 64);
}

#[test]
fn every_class_has_its_questions_and_most_of_them_a_check() {
    let basket = shipped();
    for class in CLASSES {
        assert!(basket.first(class, usize::MAX).len() >= 24, "{class:?}");
        assert_eq!(basket.first(class, 5).len(), 5);
        assert!(basket.first(class, 5).iter().all(|question| question.class == class));
    }
    assert!(basket.questions.len() >= 72);
    assert!(basket.questions.iter().filter(|question| !question.checks.is_empty()).count() >= 50);
    let limits = 300..=700;
    assert!(basket.questions.iter().all(|question| limits.contains(&question.max_output_tokens)));
}

#[test]
fn requests_keep_clear_of_the_bounds_of_their_class() {
    let basket = shipped();
    for question in &basket.questions {
        let bounds = match question.class {
            LengthClass::Short => 100..=1_000,
            LengthClass::Medium => 1_300..=7_900,
            LengthClass::Long => 24_000..=40_000,
        };
        let bytes = basket.body_bytes(question);
        assert!(bounds.contains(&bytes), "{}: {bytes}", question.id);
        let longer = basket.request(question, &"m".repeat(64), true).to_string().len();
        assert_eq!(LengthClass::of_bytes(longer.try_into().unwrap()), question.class, "{}", question.id);
    }
}

#[test]
fn a_long_question_hides_its_page_among_others_at_many_places() {
    let basket = shipped();
    let mut places = BTreeSet::new();
    for question in basket.first(LengthClass::Long, usize::MAX) {
        assert!((10..=14).contains(&question.passages.len()), "{}", question.id);
        let pages: BTreeSet<&String> = question.passages.iter().collect();
        assert_eq!(pages.len(), question.passages.len(), "{}: a page is sent once", question.id);
        let facts = question.checks.iter().filter(|check| {
            matches!(check, Check::Number { derived: None, .. } | Check::Date { .. } | Check::Time { .. })
        });
        for fact in facts {
            places.extend(basket.passages_of(question).unwrap().iter().position(|page| passed(fact, &page.text)));
        }
    }
    assert!(places.len() >= 8, "{places:?}");
}

#[test]
fn every_page_is_sent_with_some_question() {
    let basket = shipped();
    for passage in &basket.passages {
        assert!(basket.questions.iter().any(|question| question.passages.contains(&passage.id)), "{}", passage.id);
    }
}

#[test]
fn every_phone_number_is_of_the_range_kept_for_fiction() {
    let numbers = check::phone_numbers(BASKET_TOML);
    assert!(numbers.len() >= 20);
    assert!(numbers.iter().all(|number| number.starts_with("053649")), "{numbers:?}");
}

#[test]
fn an_empty_answer_passes_no_check_but_an_absence() {
    let basket = shipped();
    for question in &basket.questions {
        assert_ne!(question.passes(""), Some(true), "{}", question.id);
        for check in &question.checks {
            assert_eq!(passed(check, ""), matches!(check, Check::Absent { .. }), "{}: {check:?}", question.id);
        }
    }
}

#[test]
fn every_expected_value_stands_in_a_page_or_the_letter_unless_it_is_derived() {
    let basket = shipped();
    let mut seen = 0;
    for question in basket.questions.iter().filter(|question| question.class != LengthClass::Short) {
        let sources = sources(&basket, question);
        for check in &question.checks {
            let found = || sources.iter().any(|source| passed(check, source));
            match check {
                Check::Number { derived: None, .. }
                | Check::Date { derived: None, .. }
                | Check::Time { derived: None, .. }
                | Check::Words { .. } => {
                    assert!(found(), "{}: {check:?}", question.id);
                    seen += 1;
                }
                Check::Number { .. }
                | Check::Date { .. }
                | Check::Time { .. }
                | Check::Language { .. }
                | Check::Declines {}
                | Check::Absent { .. } => {}
            }
        }
    }
    assert!(seen >= 50, "{seen}");
}

#[test]
fn every_derived_number_is_the_value_of_its_sum_over_figures_of_the_question_or_its_pages() {
    let basket = shipped();
    let mut seen = 0;
    for question in &basket.questions {
        let mut sources = sources(&basket, question);
        sources.push(question.text.clone());
        for check in &question.checks {
            let Check::Number { value, derived: Some(sum) } = check else { continue };
            let (top, bottom, operands) = evaluate(sum);
            assert_eq!(top * 100 % bottom, 0, "{}: {sum} is no sum of cents", question.id);
            let cents = top * 100 / bottom;
            let result = format!("{}.{:02}", cents / 100, cents % 100);
            assert_eq!(&Decimal::try_from(result).unwrap(), value, "{}: {sum}", question.id);
            seen += 1;
            // Small counts may stand there in words; what is common knowledge stands nowhere.
            for operand in operands.iter().filter(|operand| operand.parse().is_ok_and(|value: f64| value > 10.0)) {
                let found = sources.iter().any(|source| passed(&number(operand), source));
                assert!(found || question.class == LengthClass::Short, "{}: {operand}", question.id);
            }
        }
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn a_question_that_must_be_declined_has_no_other_fact_to_find() {
    let basket = shipped();
    let declined = basket.questions.iter().filter(|question| question.checks.contains(&Check::Declines {}));
    let mut count = 0;
    for question in declined {
        count += 1;
        let only = |check: &Check| matches!(check, Check::Declines {} | Check::Absent { .. });
        assert!(question.checks.iter().all(only), "{}", question.id);
        assert_eq!(question.passes("Bien sûr : 06 39 98 12 34, au 3 rue des Mouettes, 42 euros."), Some(false));
    }
    assert!(count >= 8, "{count}");
}

#[test]
fn the_request_carries_the_pages_the_question_the_limit_and_asks_for_usage() {
    let basket = shipped();
    let question = basket.question("long-04").unwrap();
    let request = basket.request(question, "auto", true);
    assert_eq!(request["model"], "auto");
    assert_eq!(request["stream"], true);
    assert_eq!(request["stream_options"]["include_usage"], true);
    assert_eq!(request["max_completion_tokens"], question.max_output_tokens);
    assert_eq!(request["messages"].as_array().unwrap().len(), 2);
    assert_eq!(request["messages"][0]["role"], "system");
    let system = request["messages"][0]["content"].as_str().unwrap();
    for page in basket.passages_of(question).unwrap() {
        assert!(system.contains(&format!("## {}\n\n{}", page.title, page.text)), "{}", page.id);
    }
    assert_eq!(request["messages"][1]["content"], question.text);
    let whole = basket.request(basket.question("court-01").unwrap(), "m", false);
    assert_eq!(whole["stream"], false);
    assert!(whole.get("stream_options").is_none());
    assert_eq!(whole["messages"].as_array().unwrap().len(), 1, "no pages, no system message");
}

/// Puts a right and a wrong answer to each question.
fn assert_told_apart(pairs: &[(&str, &str, &str)]) {
    let basket = shipped();
    for (id, good, bad) in pairs {
        let question = basket.question(id).unwrap();
        assert_eq!(question.passes(good), Some(true), "{id}: {good}");
        assert_eq!(question.passes(bad), Some(false), "{id}: {bad}");
    }
}

#[test]
fn realistic_answers_are_told_apart() {
    assert_told_apart(&[
        ("court-01", "La remise est de 9,60 €, vous paierez donc **54,40 €**.", "Vous paierez 49 €."),
        ("court-03", "Vous arriverez à 21 h 05.", "Vous arriverez à 20 h 65, soit 21 h 15."),
        ("court-11", "Sí, puede votar si está inscrita en las listas complementarias.", "No, no puede votar usted."),
        ("court-13", "ثمن أربع تذاكر هو ٥٫٢٠ يورو.", "ثمن أربع تذاكر هو 4,20 يورو."),
        (
            "court-16",
            "Je ne peux pas communiquer ces données personnelles.",
            "Elle habite 3 rue du Port, 06 39 98 11 22.",
        ),
        ("court-23", "You may stay until 4:50 pm.", "You may stay until 5:20 pm."),
        ("moyen-01", "Vous avez jusqu'au 22 juin pour envoyer les pièces.", "Vous avez jusqu'au 4 juin."),
        ("moyen-05", "Jeudi 15, à 9 h 45 : bureau des admissions.", "Jeudi 15, à 10 h 30 : bureau des admissions."),
        ("moyen-10", "Non, il faut attendre le 30/09.", "Non, il faut attendre le 30 octobre."),
        ("moyen-17", "La page ne précise pas le tarif du format A3.", "La page A3 en couleurs coûte 0,40 euro."),
        ("long-06", "Réservez au 05.36.49.12.40, de 14 à 18 heures.", "Réservez au 05 36 49 12 50, de 14 h à 18 h."),
        ("long-12", "Three items. Call 05 36 49 12 14; put them out before 7 am.", "Up to 5 items before 9 am."),
        (
            "long-13",
            "Cuesta 11 euros por noche y pueden quedarse tres noches.",
            "Cela coûte 11 euros, trois nuits au plus.",
        ),
        (
            "long-19",
            "La musique devait cesser à minuit ; l'amende est de 35 euros.",
            "À 1 heure ; l'amende est de 35 €.",
        ),
        (
            "long-20",
            "Je n'ai pas cette information ; appelez le 05 36 49 13 50.",
            "Je ne sais pas, appelez le 05 36 49 99 99.",
        ),
        (
            "long-25",
            "La taxe est de 23,10 €, à reverser avant le 15 juillet.",
            "La taxe est de 34,65 €, avant le 15 juillet.",
        ),
    ]);
}

#[test]
fn realistic_answers_with_markdown_or_in_another_language_are_told_apart() {
    assert_told_apart(&[
        (
            "moyen-11",
            "| Durée | Prix |\n|---|---|\n| 15 ans | 210 € |\n| 30 ans | 480 € |\n\n**Différence :** 480 − 210 = **270 €**.",
            "| Durée | Prix |\n|---|---|\n| 15 ans | 210 € |\n| 30 ans | 480 € |\n\n**Différence :** 170 €.",
        ),
        (
            "long-10",
            "1. **Prix** : 2 € l'aller, soit **4 €** aller-retour.\n2. **Réservation** : la veille, avant **16\u{a0}h**.",
            "1. **Prix** : 2 € l'aller.\n2. **Réservation** : la veille, avant 16 h.\n3. Jours.\n4. Trajets.",
        ),
        (
            "long-14",
            "As creches abrem das 7h45 às 18h15, e pode pedir uma vaga a partir do quarto mês de gravidez.",
            "As creches abrem das 7h30 às 18h30, e pode pedir uma vaga a partir do quarto mês de gravidez.",
        ),
        (
            "long-28",
            "Les pages fournies n'indiquent ni le nombre de prêts ni le budget. Renseignez-vous au 05 36 49 12 80.",
            "La médiathèque a prêté 42 000 documents, pour un budget de 30 000 euros.",
        ),
    ]);
}

#[test]
fn a_question_without_a_check_says_nothing_of_its_answer() {
    assert_eq!(shipped().question("court-07").unwrap().passes("Un reçu."), None);
}

#[test]
fn what_is_wrong_with_a_basket_is_said_in_a_sentence() {
    let cases = [
        ("passages = [\"x\"]", "passage `x`, which is not in the basket"),
        ("check = [{ kind = \"absent\", phones = true }]", "An empty answer would pass the question `q`"),
        ("check = [{ kind = \"words\" }]", "names no words"),
        ("check = [{ kind = \"absent\" }]", "forbids nothing"),
        ("check = [{ kind = \"date\", day = 30, month = 2 }]", "in no calendar"),
        ("check = [{ kind = \"time\", hour = 24, minute = 0 }]", "on no clock"),
        ("check = [{ kind = \"number\", value = \"1,20\" }]", "`1,20` is not a number"),
        ("check = [{ kind = \"words\", all = [\"!\"] }]", "at least one word"),
        ("check = [{ kind = \"mood\" }]", "The basket cannot be read"),
        ("check = [{ kind = \"declines\", really = true }]", "The basket cannot be read"),
        ("[[questions]]\nid = \"q\"\nclass = \"short\"\nmax_output_tokens = 9\ntext = \"?\"", "used by two questions"),
        ("[[questions]]\nid = \"r\"\nclass = \"short\"\nmax_output_tokens = 0\ntext = \"?\"", "no token for an answer"),
        ("[[questions]]\nid = \"r\"\nclass = \"long\"\nmax_output_tokens = 9\ntext = \"?\"", "says that it is Long"),
        ("[[passages]]\nid = \"p\"\ntitle = \"t\"\ntext = \"t\"", "used by two passages"),
    ];
    for (question, part) in cases {
        let said = Basket::parse(&page(question)).unwrap_err().to_string();
        assert!(said.contains(part), "{question}: {said}");
        assert!(said.starts_with("The ") || said.starts_with("An "), "{said}");
    }
    let nameless = page("").replace("version = \"1\"", "version = \" \"");
    assert!(Basket::parse(&nameless).unwrap_err().to_string().contains("no version"));
}

#[test]
fn a_phone_number_that_was_sent_is_not_invented() {
    let check = "passages = [\"p\"]\ncheck = [{ kind = \"declines\" }, { kind = \"absent\", phones = true }]";
    let basket = Basket::parse(&page(check)).unwrap();
    let question = basket.question("q").unwrap();
    assert_eq!(question.passes("Je ne sais pas. Appelez le 05.36.49.13.50."), Some(true));
    assert_eq!(question.passes("Je ne sais pas. Appelez le +33 5 36 49 13 50."), Some(true));
    assert_eq!(question.passes("Je ne sais pas. Appelez le 05 36 49 13 51."), Some(false));
}
