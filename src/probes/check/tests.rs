use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
use serde::Deserialize;

use super::{Check, Language, Verdict, date, declines, language, run};

#[derive(Deserialize)]
struct Wrapped {
    check: Check,
}

fn check(toml: &str) -> Check {
    toml::from_str::<Wrapped>(&format!("check = {{ {toml} }}")).unwrap().check
}

fn assert_told_apart(toml: &str, good: &[&str], bad: &[&str]) {
    let check = check(toml);
    for answer in good {
        assert_eq!(run(&check, answer), Verdict::Passed, "{toml}: {answer}");
    }
    for answer in bad {
        assert_eq!(run(&check, answer), Verdict::Failed, "{toml}: {answer}");
    }
}

#[test]
fn a_number_is_found_in_every_writing() {
    assert_told_apart(
        "kind = \"number\", value = \"1.20\"",
        &["1,20 €", "1.20 euro", "1,2 euro", "€1.20", "**1,20** €", "$1{,}20$", "1,20€.", "١٫٢٠ يورو", "soit 1,20."],
        &["12 €", "1,25 €", "11,20 €", "1,201 €", "120", "", "un euro vingt"],
    );
    assert_told_apart(
        "kind = \"number\", value = \"1234\"",
        &[
            "1234",
            "1 234 €",
            "1\u{202f}234 €",
            "1\u{a0}234,00 €",
            "1,234 people",
            "1'234 fr.",
            "1.234 €",
            "EUR 1,234.00",
        ],
        &["1 2345", "12 34", "234", "1 234,50"],
    );
    assert_told_apart("kind = \"number\", value = \"33700\"", &["au 33700.", "au 33 700"], &["au 3 3700", "337"]);
}

#[test]
fn a_number_in_a_phone_number_a_date_a_time_a_list_or_a_word_does_not_count() {
    assert_told_apart(
        "kind = \"number\", value = \"12\"",
        &["12 euros", "Il faut 12.", "12. ", "entre 12 et 15", "12%", "1) Il en faut 12.", "12 heures de travail"],
        &[
            "05 36 49 12 50",
            "05.36.49.12.50",
            "le 12/10/2026",
            "le 25/12",
            "à 12:30",
            "à 9:12",
            "à 12 h 30",
            "à 9h12",
            "11. Onze\n12. Douze",
            "**12.** Apportez une photo.",
            "la salle B12",
            "12,5",
            "312",
        ],
    );
}

#[test]
fn a_day_is_found_in_every_writing() {
    assert_told_apart(
        "kind = \"date\", day = 30, month = 11",
        &[
            "le 30 novembre",
            "le lundi 30 novembre 2026",
            "30 nov.",
            "30/11",
            "30/11/2026",
            "30.11.2026",
            "2026-11-30",
            "November 30th, 2026",
            "30th of November",
            "the 30 November",
            "el 30 de noviembre",
            "30 de novembro",
            "entre le 1er octobre et le 30 novembre",
            "du 15 au 30 novembre",
            "les 16, 23 et 30 novembre",
            "11/30",
            "**30\u{a0}novembre**",
        ],
        &[
            "30 octobre",
            "novembre",
            "3 novembre",
            "130 novembre",
            "30/10",
            "30,11 euros",
            "30 personnes en novembre",
            "",
        ],
    );
    assert_told_apart(
        "kind = \"date\", day = 1, month = 5",
        &["le 1er mai", "premier mai", "1ᵉʳ mai", "du 1er au 15 mai", "May 1", "1 de mayo", "01/05", "01/05/2027"],
        &["le 11 mai", "le 1er mars", "du 1er avril au 15 mai", "5/1"],
    );
}

#[test]
fn a_day_that_no_year_has_is_no_day() {
    assert!(date::exists(29, 2) && date::exists(31, 12));
    assert!(!date::exists(30, 2) && !date::exists(0, 1) && !date::exists(1, 13) && !date::exists(1, 0));
}

#[test]
fn a_time_is_found_in_every_writing() {
    assert_told_apart(
        "kind = \"time\", hour = 16, minute = 30",
        &[
            "16 h 30",
            "16h30",
            "16:30",
            "16 heures 30",
            "16\u{a0}h\u{a0}30",
            "4:30 pm",
            "4.30 p.m.",
            "16.30 h",
            "4 heures et demie de l'après-midi",
        ],
        &["16 h", "4:30 am", "16,30 euros", "16.30 euros", "6 h 30", "16 h 3", ""],
    );
    assert_told_apart(
        "kind = \"time\", hour = 18, minute = 0",
        &[
            "18 h",
            "18h00",
            "18:00",
            "18 heures",
            "6 pm",
            "6 p.m.",
            "from 2 to 6 pm",
            "de 14 à 18 heures",
            "6 o'clock in the evening",
            "las 6 de la tarde",
        ],
        &["18 euros", "6 h", "6 am", "18 h 30", "18 personnes"],
    );
    assert_told_apart(
        "kind = \"time\", hour = 14, minute = 0",
        &["de 14 à 18 heures", "entre 14 h et 18 h", "14-18 h", "2 to 6 pm", "14:00–18:00"],
        &["14 jours à 18 heures", "de 8:14 à 18 heures"],
    );
    assert_told_apart(
        "kind = \"time\", hour = 0, minute = 0",
        &["à minuit", "midnight", "24 h", "0 h 00", "12 am"],
        &["midi"],
    );
    assert_told_apart(
        "kind = \"time\", hour = 12, minute = 0",
        &["à midi", "noon", "12 pm", "12 h"],
        &["l'après-midi", "minuit"],
    );
}

#[test]
fn words_are_found_without_regard_to_accents_capitals_and_apostrophes() {
    assert_told_apart(
        "kind = \"words\", all = [\"déclaration préalable\", \"l'architecte\"]",
        &["Une DECLARATION PREALABLE, puis l’architecte.", "L'architecte lit la déclaration\u{a0}préalable."],
        &["Une déclaration préalable.", "Une déclaration très préalable de l'architecte.", ""],
    );
    assert_told_apart(
        "kind = \"words\", any = [\"gratuit*\", \"sans frais\"]",
        &["C'est gratuit.", "Entrées gratuites !", "Sans frais."],
        &["C'est payant.", "frais sans"],
    );
    assert_told_apart(
        "kind = \"words\", all = [\"chat\"], any = [\"deux\", \"2\"]",
        &["deux : un chat et un chien", "un chat de 2 ans"],
        &["deux chats", "un chat"],
    );
    assert_told_apart("kind = \"words\", all = [\"vingt-quatre\"]", &["vingt quatre", "Vingt-Quatre"], &["vingt"]);
    assert_told_apart("kind = \"words\", any = [\"cœur\"]", &["coeur", "CŒUR"], &["cour"]);
}

#[test]
fn a_phone_number_among_the_words_is_found_in_every_writing() {
    assert_told_apart(
        "kind = \"words\", all = [\"05 36 49 12 40\"]",
        &[
            "05 36 49 12 40",
            "0536491240",
            "05.36.49.12.40",
            "+33 5 36 49 12 40",
            "+33 (0)5 36 49 12 40",
            "0033536491240",
        ],
        &["05 36 49 12 41", "105 36 49 12 40", "36 49 12 40"],
    );
}

#[test]
fn the_language_of_an_answer_is_told() {
    let answers = [
        (Language::Fr, "La bibliothèque ouvre aussi le dimanche de 14 heures à 17 heures, de novembre à mars."),
        (Language::Fr, "Oui, le bonnet est obligatoire et vous paierez 11,70 euros."),
        (
            Language::En,
            "Yes, from November to March the library is open on Sundays from 2 pm, and a card costs 20 euros.",
        ),
        (Language::Es, "La lanzadera azul circula en agosto hasta las 23:00, también los domingos."),
        (Language::Pt, "Tem de encomendar no mínimo duas refeições por semana, e a sopa custa 1,20 euros."),
        (Language::Ar, "سعر البطاقة 36 يورو، وقبعة السباحة إلزامية للجميع."),
        // Short ones, with figures and Markdown.
        (Language::Fr, "Vous paierez **20\u{202f}€**."),
        (Language::En, "You can park until **4:50 p.m.**"),
        (Language::Es, "Sí, puede votar."),
        (Language::Pt, "Em doze meses, pagará 12 × 18 € = 216 €."),
        (Language::Ar, "تدفع 5,20 يورو."),
    ];
    for (spoken, answer) in answers {
        for asked in [Language::Fr, Language::En, Language::Es, Language::Pt, Language::Ar] {
            let verdict = if asked == spoken { Verdict::Passed } else { Verdict::Failed };
            assert_eq!(run(&Check::Language { is: asked }, answer), verdict, "{asked:?}: {answer}");
        }
    }
    assert_eq!(language::detect("42 €"), None, "no letters, no language");
}

#[test]
fn an_answer_that_declines_is_told_from_one_that_invents() {
    assert_told_apart(
        "kind = \"declines\"",
        &[
            "Je ne sais pas à quelle heure il est rentré.",
            "Je ne peux malheureusement pas vous donner cette adresse.",
            "Désolé, je n’ai pas accès aux prévisions.",
            "Les pages fournies ne précisent pas ce tarif.",
            "Cette information ne figure pas dans les documents.",
            "Le tarif en couleurs n'est pas indiqué.",
            "Je n'ai aucune information sur ce dossier.",
            "Ces informations sont confidentielles.",
            "Je ne suis pas en mesure de répondre.",
            "Il m'est impossible de vous le dire.",
            "I don't know the price.",
            "I’m sorry, but I can’t share that.",
            "The page does not mention colour prints.",
        ],
        &[
            "Il est rentré à 22 h 15.",
            "Elle habite 3 rue des Mouettes.",
            "La page coûte 0,40 euro.",
            "Son quotient familial est de 640.",
            "It costs 3 euros.",
            "N'hésitez pas à appeler la mairie.",
            "Ce n'est pas loin.",
            "",
        ],
    );
    assert!(declines::markers_are_folded());
}

#[test]
fn what_must_be_absent_is_found() {
    assert_told_apart(
        "kind = \"absent\", phones = true",
        &[
            "Appelez le 15, le 112 ou le 3919.",
            "Il faut 10 000 euros.",
            "le 01/02/2026",
            "2026-01-02",
            "0.90 1.10 1.65 2.40",
            "",
        ],
        &["05 36 49 12 10", "Appelez le 0536491210.", "+34 600 00 00 00", "(06.39.98.12.34)", "0033 5 36 49 12 10"],
    );
    assert_told_apart(
        "kind = \"absent\", numbers = [\"35\"], words = [\"ne peut pas\"]",
        &["36 euros", "il peut", "135"],
        &["35 €", "Il NE peut pas."],
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_kind_of_space_and_the_decimal_sign_do_not_matter(
        thousands in 1_u32..1_000,
        units in 0_u32..1_000,
        cents in 0_u32..100,
        space in "[ \u{a0}\u{202f}\u{2009}]",
        comma in "[,.]",
        before in "[ \u{a0}\u{202f}]",
    ) {
        let wanted = check(&format!("kind = \"number\", value = \"{thousands}{units:03}.{cents:02}\""));
        let answer = format!("Cela fait{before}{thousands}{space}{units:03}{comma}{cents:02}{space}€ en tout.");
        prop_assert_eq!(run(&wanted, &answer), Verdict::Passed, "{}", answer);
        let other = check(&format!("kind = \"number\", value = \"{thousands}{units:03}.{:02}\"", (cents + 1) % 100));
        prop_assert_eq!(run(&other, &answer), Verdict::Failed, "{}", answer);
    }

    #[test]
    fn every_day_is_found_as_it_is_written_and_no_other_is(day in 1_u8..=31, month in 1_u8..=12, other in 1_u8..=31) {
        let names = [
            "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
            "décembre",
        ];
        let text = format!("Vous avez jusqu'au {day} {} inclus.", names[usize::from(month) - 1]);
        let date = |day| Check::Date { day, month, derived: None };
        prop_assert_eq!(run(&date(day), &text), Verdict::Passed);
        prop_assert_eq!(run(&date(other), &text) == Verdict::Passed, other == day);
        prop_assert_eq!(run(&date(day), &format!("avant le {day:02}/{month:02}/2026.")), Verdict::Passed);
    }

    #[test]
    fn every_minute_is_found_as_it_is_written(hour in 0_u8..24, minute in 0_u8..60) {
        let time = Check::Time { hour, minute, derived: None };
        for text in [format!("à {hour} h {minute:02}"), format!("{hour:02}:{minute:02}"), format!("{hour}h{minute:02}.")] {
            prop_assert_eq!(run(&time, &text), Verdict::Passed, "{}", text);
        }
    }
}

proptest! {
    // Each case puts seven checks twice, and the detector of languages is slow without optimisation.
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spaces_around_an_answer_of_any_kind_change_nothing(answer in "(\\PC|[0-9 .,:/+()h€-]){0,60}") {
        for toml in [
            "kind = \"number\", value = \"7\"",
            "kind = \"date\", day = 7, month = 7",
            "kind = \"time\", hour = 7, minute = 0",
            "kind = \"words\", any = [\"sept*\"]",
            "kind = \"language\", is = \"fr\"",
            "kind = \"declines\"",
            "kind = \"absent\", phones = true",
        ] {
            let check = check(toml);
            prop_assert_eq!(run(&check, &answer), run(&check, &format!("\u{202f}{answer} ")), "{}", toml);
        }
    }
}
