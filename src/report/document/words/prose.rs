//! Longer texts: method, limits, help. They hold no figure of the comparison.

super::texts! {
    models_compared: "Modèles comparés", "Models compared";
    council_caption: "Les modèles en un coup d’œil", "The models at a glance";
    council_figure: "Coût d’une réponse et attente du premier texte, par modèle", "Cost of an answer and wait for the first text, by model";
    council_figure_desc: "Deux graphiques alignés. Chaque modèle a sa ligne et son symbole. Le symbole donne l’estimation, le trait son intervalle à 95\u{202f}%. Plus à gauche\u{a0}: moins cher, moins d’attente. Les chiffres sont dans le tableau ci-dessus.", "Two aligned charts. Each model has its line and its symbol. The symbol is the estimate, the bar its 95% interval. Further left: cheaper, less waiting. The figures are in the table above.";
    council_source: "Coûts, attentes, réponses et vérifications viennent des sondes quand il y en a, sinon des conversations tirées au sort.", "Costs, waits, answers and checks come from probes where there are some, and else from conversations drawn at random.";
    legend_text: "«\u{a0}–\u{a0}» veut dire non connu, jamais zéro. «\u{a0}n\u{a0}» est le nombre d’observations. «\u{a0}de … à …\u{a0}» est l’intervalle à 95\u{202f}%\u{a0}: la vraie valeur s’y trouve très probablement. «\u{a0}moins de 11 personnes\u{a0}»\u{a0}: la case est masquée pour que personne ne soit reconnu.", "“–” means not known, never zero. “n” is the number of observations. “… to …” is the 95% interval: the true value very probably lies in it. “fewer than 11 people”: the cell is hidden so that nobody can be recognised.";

    evidence_intro: "Il y a trois sortes de mesures. Elles répondent à des questions différentes et ne sont jamais mélangées.", "There are three kinds of evidence. They answer different questions and are never mixed.";
    effect_note: "Dans les tableaux de conclusions, un écart écrit «\u{a0}×\u{a0}» est la valeur du premier modèle divisée par celle du second (× 1 = pareil)\u{a0}; un écart en points est la valeur du premier moins celle du second.", "In the tables of claims, a difference written “×” is the first model’s value divided by the second’s (× 1 = the same); a difference in points is the first’s value less the second’s.";
    probes_intro: "La commune pose elle-même les mêmes questions à tous les modèles, dans la même minute, jour et nuit. C’est la mesure la plus sûre de l’attente, du coût et de la fiabilité. Aucun habitant n’y participe.", "The town itself puts the same questions to all models, within the same minute, day and night. This is the safest measure of waiting, cost and reliability. No resident takes part.";
    probes_caption: "Sondes\u{a0}: résultats par modèle", "Probes: results by model";
    probes_cost_caption: "Sondes\u{a0}: coûts par modèle", "Probes: costs by model";
    probes_slices_caption: "Sondes\u{a0}: par longueur de question", "Probes: by length of the question";
    probes_claims_caption: "Sondes\u{a0}: ce qui peut être dit de chaque paire de modèles", "Probes: what may be said of each pair of models";
    wait_figure: "Sondes\u{a0}: attente du premier texte", "Probes: wait for the first text";
    duration_figure: "Sondes\u{a0}: durée de la réponse complète", "Probes: time to the whole answer";
    times_desc: "Deux graphiques alignés. Pour chaque modèle, une ligne pour la médiane et une pour les cas lents (95e centile). Le symbole donne l’estimation, le trait son intervalle à 95\u{202f}%\u{a0}; une flèche dit qu’il dépasse la limite.", "Two aligned charts. For each model, a line for the median and one for slow cases (95th percentile). The symbol is the estimate, the bar its 95% interval; an arrow says that it goes beyond the limit.";
    conversations_intro: "Le fournisseur est tiré au sort, l’habitant ne le choisit pas. Les questions des habitants restent chez un seul fournisseur. Les chiffres sont ramenés au même mélange de questions pour tous\u{a0}: longueur, passages locaux, heure.", "The vendor is drawn at random, the resident does not choose it. Residents’ questions stay with one vendor. Figures are brought to the same mix of questions for all: length, local passages, hour.";
    blocks_intro: "Le fournisseur est tiré au sort pour une tranche de temps, et non pour chaque conversation.", "The vendor is drawn for a block of time, and not for each conversation.";
    conversations_caption: "Conversations\u{a0}: résultats ramenés au même mélange de questions", "Conversations: results brought to the same mix of questions";
    conversations_cost_caption: "Conversations\u{a0}: coûts ramenés au même mélange", "Conversations: costs brought to the same mix";
    conversations_slices_caption: "Conversations\u{a0}: chiffres bruts, par sorte de questions", "Conversations: figures as they came, by kind of question";
    conversations_claims_caption: "Conversations\u{a0}: ce qui peut être dit de chaque paire", "Conversations: what may be said of each pair";
    blocks_caption: "Tranches de temps\u{a0}: résultats ramenés au même mélange", "Blocks of time: results brought to the same mix";
    blocks_cost_caption: "Tranches de temps\u{a0}: coûts", "Blocks of time: costs";
    blocks_slices_caption: "Tranches de temps\u{a0}: chiffres bruts", "Blocks of time: figures as they came";
    blocks_claims_caption: "Tranches de temps\u{a0}: ce qui peut être dit de chaque paire", "Blocks of time: what may be said of each pair";
    left_out_caption: "Modèles écartés de la comparaison des conversations", "Models left out of the comparison of conversations";
    chosen_caption: "Questions dont l’habitant a choisi le fournisseur\u{a0}: montrées, non comparées", "Questions whose resident chose the vendor: shown, not compared";
    suppressed_note: "Une case marquée «\u{a0}moins de 11 personnes\u{a0}» est masquée\u{a0}: elle concerne trop peu de personnes, ou permettrait d’en déduire une autre.", "A cell marked “fewer than 11 people” is hidden: it stands for too few people, or would give another one away.";
    interrupted_note: "Les questions interrompues ne comptent ni pour ni contre un modèle\u{a0}: l’habitant est parti avant trois secondes d’attente ou en lisant, ou la passerelle était en cause. Qui part après plus de trois secondes sans texte compte comme une question sans réponse. Un modèle bien plus interrompu que les autres mérite qu’on cherche pourquoi.", "Interrupted questions count neither for a model nor against it: the resident left within three seconds of waiting or while reading, or the gateway was at fault. Leaving after more than three seconds without a text counts as a question without an answer. A model interrupted far more than the others is worth a closer look.";
    simpson: "Exemple. Le fournisseur X reçoit 900 questions courtes (2,0\u{a0}s) et 100 longues (8,0\u{a0}s)\u{a0}: sa moyenne est de 2,6\u{a0}s. Le fournisseur Y reçoit 300 courtes (1,8\u{a0}s) et 700 longues (7,0\u{a0}s)\u{a0}: sa moyenne est de 5,4\u{a0}s. Y paraît deux fois plus lent. Pourtant Y est plus rapide sur les courtes et aussi sur les longues\u{a0}: il a seulement reçu plus de questions longues. C’est le paradoxe de Simpson. Voilà pourquoi ce document compare les modèles sur le même mélange de questions.", "Example. Vendor X is given 900 short questions (2.0\u{a0}s) and 100 long ones (8.0\u{a0}s): its mean is 2.6\u{a0}s. Vendor Y is given 300 short ones (1.8\u{a0}s) and 700 long ones (7.0\u{a0}s): its mean is 5.4\u{a0}s. Y looks twice as slow. Yet Y is faster on short questions and on long ones too: it was only given more long questions. This is Simpson’s paradox. It is why this document compares models on the same mix of questions.";
    duels_intro: "Des volontaires lisent deux réponses à la même question sans savoir qui les a écrites, et disent laquelle ils préfèrent. Le côté est tiré au sort. L’égalité est permise et comptée à part.", "Volunteers read two answers to the same question without knowing who wrote them, and say which they prefer. The side is drawn at random. A tie is allowed and counted apart.";
    duels_caption: "Duels\u{a0}: votes par paire de modèles", "Duels: votes by pair of models";
    duels_bias_caption: "Duels\u{a0}: le côté et la longueur ont-ils compté\u{a0}?", "Duels: did side and length matter?";
    duels_bias_note: "La moitié des votes devrait aller à gauche. Loin de la moitié, le côté ou la longueur ont pesé sur le choix.", "Half of the votes should go to the left. Far from half, side or length weighed on the choice.";
    duels_ranking_caption: "Duels\u{a0}: classement", "Duels: ranking";
    duels_qualifiers_caption: "Duels\u{a0}: ce que les votants ont dit des réponses", "Duels: what voters said of the answers";
    duels_claims_caption: "Duels\u{a0}: ce qui peut être dit de chaque paire", "Duels: what may be said of each pair";
    duels_figure: "Duels\u{a0}: part des votes tranchés pour le premier modèle de la paire", "Duels: share of decisive votes for the first model of the pair";
    duels_figure_desc: "Une ligne par paire. Le symbole donne la part du premier modèle, le trait son intervalle à 95\u{202f}%. Le trait vertical en tirets marque la moitié\u{a0}: un intervalle qui le touche ne montre aucune préférence.", "A line a pair. The symbol is the share of the first model, the bar its 95% interval. The dashed vertical line marks one half: an interval that touches it shows no preference.";

    euros_intro: "Tous les montants sont hors taxes, sauf mention contraire. Le coût vient des quantités facturées par le fournisseur et des prix datés du catalogue.", "All amounts are without VAT unless said otherwise. Costs come from the quantities billed by the vendor and the dated prices of the catalogue.";
    euros_summary_caption: "L’argent de la période", "Money of the period";
    euros_rows_caption: "Ce que les questions des habitants ont coûté", "What residents’ questions cost";
    euros_units_caption: "Ce qu’une question et une réponse ont coûté", "What a question and an answer cost";
    euros_months_caption: "Par mois et par habitant", "By month and resident";
    incomplete: "Des questions posées par moins de onze personnes ne figurent pas dans ces montants. Le coût d’une question compte au plus haut celles dont le coût exact n’est pas connu.", "Questions that fewer than eleven people asked are not in these amounts. The cost of a question counts those whose exact cost is not known at the most they can have cost.";
    repriced_caption: "La même période, aux prix de chaque modèle du catalogue", "The same period at the prices of each model of the catalogue";
    repriced_note: "Mêmes questions, mêmes longueurs, autres prix. Un modèle dont les réponses sont plus longues coûterait davantage\u{a0}: voir la dernière colonne du tableau suivant, pour ceux qui ont été sondés.", "Same questions, same lengths, other prices. A model with longer answers would cost more: see the last column of the next table, for those that were probed.";
    repriced_more_caption: "La même période\u{a0}: par réponse, longueurs propres au modèle, arrêts annoncés", "The same period: per answer, with the model’s own lengths, retirements";
    repriced_figure: "La même période aux prix des modèles comparés et des dix moins chers, avec et sans cache", "The same period at the prices of the models compared and of the ten cheapest, with and without cache";
    repriced_figure_desc: "Une ligne par modèle. Le symbole plein donne le coût avec cache, l’extrémité droite du trait le coût sans cache. Les chiffres sont dans le tableau qui suit.", "A line a model. The symbol is the cost with cache, the right end of the bar the cost without. The figures are in the table that follows.";
    what_if_caption: "Et si\u{a0}? Le coût d’une réponse si quelque chose changeait", "What if? The cost of an answer if something changed";
    break_even_caption: "De combien un prix devrait changer pour que deux modèles coûtent autant", "By how much a price would have to change for two models to cost the same";
    residents_item: "Questions des habitants", "Residents’ questions";
    probes_item: "Sondes", "Probes";
    duels_item: "Duels", "Duels";
    envelope_item: "Enveloppe de l’année", "Envelope of the year";
    spent_item: "Dépensé depuis le début de l’année", "Spent this year so far";
    forecast_item: "Prévu à la fin de l’année", "Expected at the end of the year";
    forecast_low_item: "Prévision basse", "Low forecast";
    forecast_high_item: "Prévision haute", "High forecast";

    scorecard_intro: "Les poids sont ceux de la commune. Les trois façons usuelles de noter un prix sont montrées côte à côte, avec ce que chacune donne. Le tableau aide à décider\u{a0}; il ne décide pas.", "The weights are the town’s. The three usual ways to mark a price are shown side by side, with what each gives. The table helps to decide; it does not decide.";
    criteria_caption: "Poids et notes (prix noté avec la première formule)", "Weights and marks (price marked with the first formula)";
    formulas_caption: "Trois formules de prix côte à côte", "Three price formulas side by side";
    sensitivity_caption: "Qui est premier quand un seul poids change", "Who comes first when one weight changes";
    sensitivity_figure: "Premier du tableau selon le poids de chaque critère", "First of the table by the weight of each criterion";
    sensitivity_figure_desc: "Une bande par critère, de 0 à 100\u{202f}%. Chaque motif est un modèle, dont le nom ou le numéro est écrit sur la bande\u{a0}; le triangle marque le poids choisi. Les bornes sont dans le tableau qui suit.", "A strip a criterion, from 0 to 100%. Each pattern is a model, whose name or number is written on the strip; the triangle marks the chosen weight. The bounds are in the table that follows.";
    not_scored_note: "Un critère non noté ne compte pour personne\u{a0}: son poids reste dans le tableau, sans points.", "A criterion that is not scored counts for nobody: its weight stays in the table, without points.";
    data_intro: "Ce que les fournisseurs disent eux-mêmes, avec la source et le jour où elle a été lue. Ce n’est pas un avis juridique.", "What vendors say themselves, with the source and the day it was read. This is not legal advice.";
    data_caption: "Où vont les questions", "Where questions go";

    energy_intro: "Aucun fournisseur ne mesure l’énergie d’une réponse pour ses clients. Une seule méthode publique d’estimation est appliquée à tous, avec sa fourchette.", "No vendor measures the energy of an answer for its customers. One public method of estimation is applied to all, with its range.";
    energy_caption: "Énergie estimée d’une réponse moyenne", "Estimated energy of a mean answer";
    energy_footprint_caption: "Carbone, eau et équivalents d’une réponse moyenne", "Carbon, water and equivalents of a mean answer";
    energy_figure: "Énergie estimée d’une réponse moyenne, en wattheures", "Estimated energy of a mean answer, in watt-hours";
    energy_figure_desc: "Une ligne par modèle. Le trait va du bas au haut de la fourchette\u{a0}; il n’y a pas de valeur centrale.", "A line a model. The bar goes from the low to the high end of the range; there is no central value.";
    energy_limits: "Limites de la méthode\u{a0}: les textes lus par le modèle et le cache ne comptent pas\u{a0}; seul le texte est compté\u{a0}; 64 demandes simultanées et une carte H100 sont supposées\u{a0}; l’entraînement est exclu\u{a0}; l’électricité est la moyenne d’un pays, et le pays du serveur est supposé.", "Limits of the method: text read by the model and the cache are not counted; text only; 64 simultaneous requests and an H100 card are assumed; training is left out; electricity is the mean of a country, and the country of the host is assumed.";
    energy_not_mixed: "Ces chiffres ne sont jamais mêlés à l’analyse de cycle de vie que publie un fournisseur\u{a0}: les périmètres diffèrent, et les résultats d’un facteur cent.", "These figures are never mixed with a vendor’s own life-cycle assessment: the boundaries differ, and results by a factor of a hundred.";
    energy_guessed: "Quand l’architecture est supposée, elle l’est en partie d’après le prix\u{a0}: l’énergie n’est alors pas une information tout à fait distincte.", "Where the architecture is guessed, it is guessed from the price in part: energy is then not quite separate information.";

    method_kinds: "Trois sortes de mesures, jamais mélangées\u{a0}: les sondes (mêmes questions, même minute), les conversations (fournisseur tiré au sort), les duels à l’aveugle (préférence).", "Three kinds of evidence, never mixed: probes (same questions, same minute), conversations (vendor drawn at random), blind duels (preference).";
    method_assigned: "Le tirage au sort se fait au début d’une conversation et ne change plus. Les conversations dont l’habitant a choisi le fournisseur sont comptées à part\u{a0}: ceux qui choisissent ne ressemblent pas forcément aux autres.", "The draw is made at the start of a conversation and does not change. Conversations whose resident chose the vendor are counted apart: those who choose may not be like the others.";
    method_standardised: "Les conversations sont comparées à l’intérieur de mêmes sortes de questions, puis réunies avec les mêmes poids pour tous (standardisation).", "Conversations are compared within the same kinds of questions, then brought together with the same weights for all (standardisation).";
    method_intervals: "Chaque estimation a un intervalle à 95\u{202f}%. Les sondes sont comparées question par question\u{a0}; les intervalles des conversations et des duels tiennent compte de ce qu’une même personne pose plusieurs questions dans une semaine.", "Each estimate has a 95% interval. Probes are compared question by question; intervals of conversations and duels allow for one person asking several questions in a week.";
    method_primary: "Une mesure principale par critère a été nommée à l’avance\u{a0}; les autres sont données à titre indicatif. Une conclusion n’est tirée que pour la période déclarée d’avance, une fois finie.", "One primary measure a criterion was named in advance; the others are for information. Claims are made only for the period declared beforehand, once it is over.";
    method_words: "Un modèle n’est dit meilleur sur une mesure que si l’intervalle exclut l’égalité et que la différence dépasse la marge. Sinon\u{a0}: «\u{a0}aucune différence démontrée\u{a0}». Cela ne veut pas dire que les modèles sont égaux.", "A model is called better on a measure only if the interval excludes equality and the difference exceeds the margin. Otherwise: “no difference shown”. That does not mean that the models are equal.";
    method_privacy: "Aucune question ni réponse d’habitant n’est conservée. Aucun chiffre ne concerne moins de onze personnes.", "No resident’s question or answer is kept. No figure stands for fewer than eleven people.";

    limit_one_town: "Une seule commune, une seule période\u{a0}: les résultats peuvent différer ailleurs ou plus tard.", "One town, one period: results may differ elsewhere or later.";
    limit_prices: "Les prix et les modèles changent souvent\u{a0}; un modèle peut être arrêté en un an.", "Prices and models change often; a model may be switched off within a year.";
    limit_quality: "Les vérifications automatiques ne voient pas toutes les erreurs. Les duels disent une préférence, pas l’exactitude.", "Automatic checks do not see every error. Duels tell a preference, not correctness.";
    limit_tokens: "Les fournisseurs ne comptent pas les mots de la même façon\u{a0}: le coût est donc donné par question, par réponse et pour 1\u{202f}000 caractères.", "Vendors do not count words alike: cost is therefore given per question, per answer and per 1,000 characters.";
    limit_energy: "L’énergie est estimée, pas mesurée.", "Energy is estimated, not measured.";
    limit_advice: "Ce document n’est ni un avis juridique ni un classement officiel.", "This document is neither legal advice nor an official ranking.";

    changes_caption: "Changements pendant la période qui touchent la comparaison", "Changes in the period that touch the comparison";
    no_changes: "Aucun changement n’a été relevé pendant la période.", "No change was recorded in the period.";
    retirements_caption: "Modèles comparés dont l’arrêt est annoncé", "Compared models that will be switched off";
    no_retirements: "Aucun arrêt n’est annoncé pour les modèles comparés.", "No compared model is announced to be switched off.";
    proof_intro: "Tous les chiffres se recalculent à partir du fichier de preuves publié avec ce document. Il ne contient aucune donnée personnelle.", "Every figure can be recomputed from the evidence file published with this document. It holds no personal data.";
    proof_caption: "Empreintes et versions", "Hashes and versions";
    proof_command: "La commande qui recalcule tout\u{a0}:", "The command that recomputes everything:";
    command: "passerelle report --from-evidence FILE", "passerelle report --from-evidence FILE";

    workbook_intro: "Ce classeur contient les tableaux du document, une feuille par tableau, et deux feuilles où changer les hypothèses.", "This workbook holds the tables of the document, one sheet a table, and two sheets to change the assumptions.";
    workbook_play_prices: "«\u{a0}Hausse et volume\u{a0}»\u{a0}: changez la hausse de prix, la TVA, le nombre de questions par mois\u{a0}; le coût d’une réponse et d’une année se recalculent.", "“Rise and volume”: change the price rise, VAT and questions a month; the cost of an answer and of a year are recomputed.";
    workbook_play_scorecard: "«\u{a0}Notation\u{a0}»\u{a0}: changez les poids\u{a0}; points, totaux et rangs se recalculent. Le prix y est noté avec la formule classique.", "“Scorecard”: change the weights; points, totals and ranks are recomputed. The price is marked there with the classic formula.";
    workbook_units: "Montants en euros hors taxes sauf mention contraire\u{a0}; temps en secondes\u{a0}; une case vide veut dire non connu, jamais zéro.", "Amounts in euros without VAT unless said otherwise; times in seconds; an empty cell means not known, never zero.";
    nothing: "Rien à montrer pour cette période.", "Nothing to show for this period.";
}
