//! Words that carry no meaning alone, by language.
//!
//! Owns: the lists. They hold articles, pronouns, prepositions, auxiliaries, question words and the courtesies of a
//! chat ("please", "tell me"), unstemmed, lower-case, apostrophes left out.
//! Never does: removing them from the index. They count little when ranking and nothing when deciding whether a site
//! answers a question.

use crate::fingerprint::WordHash;
use crate::language::Language;
use std::collections::HashSet;
use std::sync::OnceLock;

pub(super) type StopWords = HashSet<&'static str, WordHash>;

const ENGLISH: &str = "a an the and or but nor not no so as if then than too very just also only own same such \
 i me my mine we us our ours you your yours u ur he him his she her hers it its they them their theirs \
 this that these those there here who whom whose which what when where why how whats wheres hows whos \
 is am are was were be been being im youre its thats theres isnt arent wasnt werent \
 do does did doing done dont doesnt didnt have has had having havent hasnt hadnt \
 can could cannot cant couldnt will would wont wouldnt shall should shouldnt may might must \
 of at by for with about against between into through during before after above below to from up down in out on off \
 over under again further once any some all both each few more most other much many every either neither \
 please pls thanks thank hi hello hey tell know want like need get got give let say explain show \
 anything something someone anyone anybody really actually maybe ok okay yes \
 while because until upon within without per via one ever still yet";

const GERMAN: &str = "der die das den dem des ein eine einer eines einem einen kein keine keiner keinen und oder aber \
 doch nicht nur auch noch schon so als wie wenn dann denn dass ob weil damit sehr mehr \
 ich mich mir mein meine meinen meiner du dich dir dein deine er ihn ihm sein seine sie ihr ihre ihren ihrer ihnen es \
 wir uns unser unsere euch euer man sich selbst dieser diese dieses diesen diesem jener jede jeder jedes jeden alle \
 wer wen wem wessen was wann wo wohin woher warum wieso weshalb welche welcher welches welchen wieviel viel viele \
 bin bist ist sind seid war waren wäre gewesen werden wird wirst wurde wurden worden \
 habe hast hat haben hatte hatten habt kann kannst können könnte könnten könnt soll sollte muss müssen darf dürfen \
 möchte möchten mag will wollen gibt geben es tut tun macht \
 in im an am auf aus bei beim bis durch für gegen mit nach ohne seit über um unter von vom vor zu zum zur zwischen \
 hier da dort etwas nichts irgendwas einige bitte danke hallo ja nein mal eigentlich wirklich sagen sag zeigen weiß";

const FRENCH: &str = "le la les l un une des du de d au aux et ou mais ni ne pas plus non que qui quoi dont où quand \
 comment pourquoi combien quel quelle quels quelles lequel laquelle est ce qu c s n j t m y en \
 je me moi mon ma mes tu te toi ton ta tes il lui son sa ses elle nous notre nos vous votre vos ils elles leur leurs \
 on se soi cet cette ces celui celle ceux celles cela ça ceci \
 suis es est sommes êtes sont était étaient été être sera serait ai as a avons avez ont avait avoir eu \
 peux peut pouvez peuvent puis pouvoir pourrais pourrait dois doit devez devoir veux veut voulez voudrais \
 fait faire faites faut y a avec sans sous sur dans par pour vers chez entre avant après depuis pendant contre \
 si comme aussi très trop tout tous toute toutes autre autres même ici là quelque quelques chose \
 merci bonjour svp plaît dire dites savoir oui non";

const SPANISH: &str = "el la los las lo un una unos unas y e o u pero ni no sí si que qué quien quién quienes cual cuál \
 cuáles cuando cuándo donde dónde como cómo cuanto cuánto cuánta cuántos cuántas por porque de del al a en con sin \
 sobre bajo entre hasta desde hacia para según durante contra ante tras \
 yo me mi mí mis tú te ti tu tus él ella ello su sus se nosotros nos nuestro nuestra nuestros vosotros os vuestro \
 usted ustedes ellos ellas le les este esta esto estos estas ese esa eso esos esas aquel aquella aquello \
 soy eres es somos son era eran fue fueron ser sido será sería estoy estás está están estaba estar \
 he has ha hemos han había haber hay tengo tienes tiene tenemos tienen tener puedo puedes puede pueden podría poder \
 debo debe quiero quieres quiere hace hacen hacer muy más menos también ya todo toda todos todas otro otra otros \
 algo alguien alguno alguna algunos aquí allí favor gracias hola decir saber";

const ITALIAN: &str = "il lo la i gli le un uno una di del dello della dei degli delle a al allo alla ai agli alle da dal \
 dalla dai dalle in nel nella nei nelle con su sul sulla sui per tra fra e ed o ma né non sì no se che chi cui quale \
 quali quando dove come perché quanto quanta quanti quante cosa io mi me mio mia miei tu ti te tuo tua lui lei suo sua \
 suoi noi ci nostro nostra voi vi vostro vostra loro si questo questa questi queste quello quella sono sei è siamo \
 siete era erano stato essere ho hai ha abbiamo avete hanno avere posso puoi può potete possono potrei devo deve \
 vorrei voglio vuole fa fare molto più meno anche già tutto tutti altra altri qui qualcosa grazie ciao favore";

const PORTUGUESE: &str = "o a os as um uma uns umas de do da dos das em no na nos nas ao à aos às por pelo pela para com \
 sem sob sobre entre até desde e ou mas nem não sim se que quem qual quais quando onde como porque porquê quanto \
 quanta quantos quantas eu me mim meu minha meus tu te ti teu tua você vocês ele ela eles elas seu sua seus suas lhe \
 nós nosso nossa este esta isto esse essa isso aquele aquela sou és é somos são era eram foi foram ser está estão \
 estar tenho tem temos têm ter há haver posso pode podem poderia deve quero quer faz fazer muito mais menos também já \
 todo toda todos outro outra aqui algo alguém obrigado olá favor";

const DUTCH: &str = "de het een en of maar niet geen ook nog al zo als dan dat die dit deze er hier daar wie wat waar \
 wanneer waarom hoe welke welk hoeveel ik me mij mijn jij je jou jouw u uw hij hem zijn zij ze haar wij we ons onze \
 jullie hun hen is ben bent was waren zijn geweest wordt worden werd heb hebt heeft hebben had kan kun kunt kunnen kon \
 zal zou moet moeten mag mogen wil willen doe doet doen in op aan bij van voor met naar uit over om tot door zonder \
 onder tussen tegen tijdens na te iets iemand alle alles veel meer zeer graag bedankt hallo ja nee";

const DANISH: &str = "den det de en et og eller men ikke også som at der her hvor hvem hvad hvornår hvorfor hvordan \
 hvilken hvilke jeg mig min mit du dig din dit han ham hun hende vi os vores i jer de dem deres er var være har havde \
 kan kunne skal skulle vil ville må på til fra med for om af ved under over efter uden mellem meget mere alle noget";
const SWEDISH: &str = "den det de en ett och eller men inte också som att där här var vem vad när varför hur vilken \
 vilka jag mig min mitt du dig din ditt han honom hon henne vi oss vår ni er dem deras är var vara har hade kan kunde \
 ska skulle vill måste får på till från med för om av vid under över efter utan mellan mycket mer alla något";
const NORWEGIAN: &str = "den det de en et ei og eller men ikke også som at der her hvor hvem hva når hvorfor hvordan \
 hvilken hvilke jeg meg min mitt du deg din ditt han ham hun henne vi oss vår dere dem deres er var være har hadde kan \
 kunne skal skulle vil ville må på til fra med for om av ved under over etter uten mellom mye mer alle noe";
const RUSSIAN: &str = "и в во не что он на я с со как а то все она так его но да ты к у же вы за бы по только ее мне \
 было вот от меня еще нет о из ему когда даже ну ли если или ни быть был него до вас вам уже для мы их чем была где \
 кто какой какая какие сколько почему зачем есть это этот эта эти можно мой ваш наш при об";
const TURKISH: &str = "ve veya ama değil bir bu şu o ben sen biz siz onlar ne nasıl neden niçin nerede kim hangi kaç mi \
 mı mu mü var yok için ile gibi daha çok en de da ki her şey olan olarak";
const OTHER: &str = "";
/// Chinese and Japanese are marked character by character, see [`is_function_character`].
const FUNCTION_CHARACTERS: &str = "的了吗呢么什谁哪怎吧啊是在有和与及或这那您你我他她它们为之其\
 はがをにでとものへやかねよたですますいつどこ何";

fn list(language: Language) -> &'static str {
    match language {
        Language::English => ENGLISH,
        Language::German => GERMAN,
        Language::French => FRENCH,
        Language::Spanish => SPANISH,
        Language::Italian => ITALIAN,
        Language::Portuguese => PORTUGUESE,
        Language::Dutch => DUTCH,
        Language::Danish => DANISH,
        Language::Swedish => SWEDISH,
        Language::Norwegian => NORWEGIAN,
        Language::Russian => RUSSIAN,
        Language::Turkish => TURKISH,
        _ => OTHER,
    }
}

const SETS: usize = 20;

/// The set of `language`, built at its first use.
pub(super) fn stop_words(language: Language) -> &'static StopWords {
    static BUILT: [OnceLock<StopWords>; SETS] = [const { OnceLock::new() }; SETS];
    BUILT[language as usize].get_or_init(|| list(language).split_whitespace().collect())
}

/// Whether a pair with this character is mostly grammar.
pub(super) fn is_function_character(character: char) -> bool {
    FUNCTION_CHARACTERS.contains(character)
}

/// The language whose small words are most frequent in the first few thousand characters; `None` when hardly any are.
pub(crate) fn guess_by_stop_words(text: &str) -> Option<Language> {
    const CANDIDATES: [Language; 12] = [
        Language::English,
        Language::German,
        Language::French,
        Language::Spanish,
        Language::Italian,
        Language::Portuguese,
        Language::Dutch,
        Language::Danish,
        Language::Swedish,
        Language::Norwegian,
        Language::Russian,
        Language::Turkish,
    ];
    let mut counts = [0_usize; CANDIDATES.len()];
    let mut words = 0_usize;
    for word in text.split(|c: char| !c.is_alphabetic()).take(600) {
        if word.is_empty() {
            continue;
        }
        words += 1;
        let word = word.to_lowercase();
        for (count, language) in counts.iter_mut().zip(CANDIDATES) {
            *count += usize::from(stop_words(language).contains(word.as_str()));
        }
    }
    let best = counts.iter().copied().max().unwrap_or_default();
    // Ordinary prose has a third of such words; a list of names has hardly any.
    if best < 2 || best * 8 < words {
        return None;
    }
    counts.iter().position(|&count| count == best).map(|at| CANDIDATES[at])
}
