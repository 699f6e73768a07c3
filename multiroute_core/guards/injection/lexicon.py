"""Word lists of the prompt-injection classifier: what a word is about, in a dozen languages.

Words are folded (see `folding`): lower case, without accents. A trailing `*` stands for any ending. Chinese, Japanese,
Korean and Thai terms are found anywhere in a text, since those languages put no spaces between words.
"""

# ruff: noqa: E501 — a letter of Chinese counts twice
from __future__ import annotations

_CONCEPTS = {
    # To set aside what was said.
    "override": """
        ignor* disregard* forget forgets forgetting forgotten overrid* bypass* discard* abandon* neglect* overlook* drop
        dismiss* erase scrap nullif* supersed* void cancel* unlearn vergiss vergesst vergessen ignorier* missacht*
        verwirf* verwerf* abweich* oublie oubliez oublier negligez ignorez olvid* ignora* desconsider* esquec* descart*
        dimentic* tralasci* scord* zaborav* zabud* забуд* игнорир* проигнорир* отмен* забуть* ігнор* negeer* vergeet*
        zignoruj* zapomnij* unut* yoksay* abaikan* lupakan* تجاهل* انس* भूल* अनदेखा नजरअंदाज glom* ignorera* unohda*
        forglem* bo qua quen
    """,
    # What was said.
    "instructions": """
        instruct* instruk* instruc* istruzion* directive* direktive* directriz* anweis* befehl* vorgabe* auftrag auftrage
        auftragen consigne* consignes ordre ordres ordenes ordine ordini ordens regel* regle* regla* regra* regole rules
        rule guideline* guidelines guardrail* command commands comando* commands orders order prompt prompts programming
        constraints policies restrictions инструкц* указан* правил* команд* інструкц* instrukcj* polecen* talimat*
        kural* petunjuk* perintah* تعليمات* التعليمات* الاوامر निर्देश* निर्देशों upute instruksi opdracht* instruktioner
    """,
    "context": """
        documents document article articles artikel artikeln artikels context kontext contexte contexto contesto
        conversation information informationen informations informacion informacoes informazioni text texts texte angaben
        ausfuhrungen gesagte dokumente redaktion knowledge guidance
    """,
    # Where it was said.
    "previous": """
        previous previously prior preceding earlier above before foregoing aforementioned past original initial existing
        vorherig* bisherig* vorangehend* vorangegangen* obig* oben davor vorher zuvor ursprunglich* precedent* anterieur*
        avant dessus anterior* previa* previo* antes arriba acima precedenti sopra prima предыдущ* прежн* прошл* выше
        попередн* poprzedn* wczesniejsz* onceki sebelumnya di السابقة पिछल* prethodn* vorige eerdere tidigare so far
    """,
    "everything": """
        all any every everything anything entire whole alles alle allem samtliche* tout tous toute toutes todo todos todas
        toda tudo tutto tutte tutti все всё всі wszystk* sve tum semua جميع كل सभी alla alles
    """,
    # What comes instead.
    "instead": """
        instead stattdessen anstatt plutot lugar invece anziche вместо zamiast yerine rather but however
    """,
    "new": """new next now neue neuen neuer neues nun jetzt nouvelle nouvelles nouveau maintenant nueva nuevas nuevo ahora
        nova novas novo agora nuova nuove nuovo adesso ora новая новые новое теперь nowe teraz yeni simdi baru sekarang
        additional updated following""",
    "task": """task tasks assignment assignments mission job aufgabe aufgaben tache taches tarea tareas tarefa tarefas
        compito compiti задача задание задачи zadanie gorev tugas objective goal""",
    # Who is to be somebody else.
    "role": """
        act acts acting pretend* roleplay role rolle roleplaying role-play* simulate simulat* impersonat* imagine persona
        character behave fungier* spiele spielst verhalte tu stell vorstellen agis incarne imagine joue pretends actua
        finge imagina comportate aja finja comporte atue agisci fingi comportati immagina притворись представь веди играй
        роль udawaj wyobraz davran berpura bertindak تظاهر تخيل बनो become embody emulate terminal interpreter
    """,
    "you": """you your yours yourself u du dir dich dein deine deinen deinem deiner ihr ihre ihren ihrem ihnen sie tu te
        toi ton ta tes vous votre vos ti tus usted ustedes su sus voce voces seu sua seus suas teu lei vi voi tuo tua tuoi
        vostro ты тебя тебе твой твои вы вас вам ваши ти ty ciebie twoj twoje sen siz sana anda kamu انت आप تم je""",
    "am": """are bist sind seid es etes eres sois sei siete become werde""",
    "ai": """
        ai ki ia ии yz ai-powered assistant assistants assistente asistente assistenten chatbot bot gpt chatgpt claude
        gemini llama copilot llm model modell modele modelo modello agent agents machine gpt-4 ассистент модель asystent
        sprachmodell summarizer crawler scraper
    """,
    "jailbreak": """
        dan jailbreak* unrestrict* uncensor* unfilter* unbound unlimited amoral immoral unethical unhinged evil
        hypothetical* fictional theoretical* sudo root godmode god developer debug admin administrator maintenance
        unzensiert uneingeschrankt sin-filtro bose boses bypass aim stan dude devmode entwicklermodus omnipotent
        rogue liberated freed unshackled dark grandma opposite
    """,
    "restriction": """
        filter* limit* restrict* censor* moral* ethic* safety safeguard* polic* guideline* content limitation* boundar*
        constraint* einschrankung* beschrankung* zensur limite* restriccion* etica filtros filtri restricoes restrizioni
        ограничен* цензур* ograniczen* openai anthropic google refus* warning* disclaimer* illegal*
    """,
    "without": """without no not never free ohne keine nicht sans pas ne sin no nunca sem nao senza non без не нет bez nie
        don't dont cannot can't won't stop stopp halt cease anymore longer""",
    # To say something given.
    "say": """
        say says saying answer print output respond reply write repeat state tell type echo display return generate
        start begin include only just sag sage sagen schreib schreibe schreiben antworte antworten ausgeben gib gebe geben
        drucke wiederhole berechne* erzahle formuliere verfasse dis dites dire reponds repondez ecris ecrivez affiche
        affichez repete di diga digas decir responde responda escribe escriba repite imprime muestra diga escreva responda
        repita mostre imprima rispondi scrivi stampa ripeti mostra dica скажи скажите напиши напишите ответь ответьте
        выведи повтори powiedz napisz odpowiedz soyle yaz katakan tulis قل اكتب कहो लिखो zeg schrijf skriv sig execute run
    """,
    "reveal": """
        reveal* show shows expose* disclose* leak* share list give provide dump recite spell summarize summarise what
        where verbatim zeig zeige zeigen verrate verraten nenne offenbare revele revelez montre montrez donne donnez
        revela muestra muestrame dime revele mostre mostra rivela dimmi покажи раскрой pokaz ujawnij goster tampilkan
        اعرض दिखाओ copy translate encode
    """,
    "prompt": """
        prompt prompts prompt-text prompt_text prompt-texte prompttext prompttexte system systemprompt system-prompt
        systemanweisung* sistema systeme hidden secret confidential initial configuration config pre-prompt preprompt
        invite промпт* системн* geheim* versteckt* secretes secretas segretos developer internal
    """,
    "secret": """
        password* passwort* passwords secret secrets key keys api-key token tokens credential* credentials passphrase
        flag code contrasena clave senha chiave mot passe пароль ключ haslo sifre env
    """,
    # What tells an assistant how to answer: in a document, it has no business.
    "answer": """
        response responses reply replies answer answers output outputs summary summaries antwort antworten ausgabe
        zusammenfassung reponse reponses resume respuesta respuestas resumen resposta respostas resumo risposta risposte
        riassunto ответ ответе ответы odpowiedz odpowiedzi cevap jawaban messages message conversation
    """,
    "edit": """
        add adds append appending include including integrate insert incorporate modify change augment enhance embed
        prepend replace substitute convert encode translate rearrange scramble remove omit mention promote recommend
        suggest tease end begin use express conclude finish emphasize highlight advertise endorse invite praise render
        rewrite reverse misspell shuffle group combine introduce
    """,
    "encoding": """
        base64 base32 rot13 rot-13 caesar cipher hex hexadecimal binary morse ascii unicode encoded encode decode decoded
        encrypt encrypted decrypt leetspeak pig-latin emoji emojis anagram* vowel* letters letter typos backwards
        reversed dekodiere entschlussle decode decodifica descifra decodez расшифруй
    """,
    "act_on": """
        send sends forward email e-mail delete transfer wire pay buy purchase upload download install click visit fetch
        call invoke execute run exfiltrat* post submit curl wget rm chmod sende uberweise losche envoie envoyez supprime
        envia elimina transfiere envie exclua invia cancella отправь удали wyslij usun
    """,
    "obey": """
        must obey comply complies follow always never strictly immediately urgent important attention achtung wichtig
        musst mussen befolge gehorche dois devez obeis debes tienes obedece deve precisa devi обязан должен musisz
        immediately priority mandatory required override critical command
    """,
    "praise": """
        great excellent fantastic well done perfect good job congratulations wow super gut gemacht hervorragend*
        ausgezeichnet* grossartig* fantastisch gluckwunsch bravo parfait excelente perfecto perfeito ottimo отлично
    """,
    "from": "from ab desde a-partir da von des partir",
    "answer_style": "style stil tone manner persona pirate accent voice poem rhyme essay manifesto plea headline",
    "hate": """hate hates hass* hasse hasst odio deteste idiot stupid scheisse shit fuck slut worst kill destroy bomb weapon
        malware virus hack drugs meth poison explosive* steal weapons racist""",
}

_EVERYWHERE = {
    "override": "忽略 忽视 忽視 无视 無視 不要理会 不要理會 忘记 忘記 忘掉 抛开 放弃 忘れて 忘れろ 従わない 破棄 무시 잊어 잊고 เพิกเฉย ลืม",
    "instructions": "指令 指示 命令 规则 規則 要求 设定 設定 ルール 제약 지시 명령 규칙 คำสั่ง",
    "previous": "之前 以前 以上 上面 先前 前面 前述 上記 これまで 今まで 이전 위의 앞의 ก่อนหน้า",
    "everything": "所有 一切 全部 任何 すべて 全て 모든 모두 ทั้งหมด",
    "instead": "而是 代わりに 대신",
    "new": "现在 現在 从现在 今から これから 新しい 新的 이제 지금부터",
    "role": "扮演 假装 假裝 充当 作为 なりきって ふりをして として振る舞 演じて 역할 인 척",
    "you": "你 您 あなた 君は 당신 너는",
    "jailbreak": "越狱 越獄 开发者模式 開發者模式 開発者モード ジェイルブレイク 탈옥 개발자 모드",
    "restriction": "限制 审查 審查 过滤 道德 制限 検閲 倫理 제한 검열",
    "without": "没有 沒有 不受 なしで ない 없이",
    "say": "输出 輸出 回答 回复 说 說 写 打印 重复 出力 答えて 言って 書いて 繰り返 출력 말해 대답 ตอบ พูด",
    "reveal": "显示 顯示 告诉我 告訴我 透露 泄露 展示 表示して 教えて 見せて 明かして 보여 알려",
    "prompt": "提示词 提示詞 系统提示 系統提示 系统 プロンプト システム 프롬프트 시스템",
    "secret": "密码 密碼 密钥 パスワード 秘密 비밀번호",
    "ai": "助手 模型 人工智能 人工知能 アシスタント 모델",
    "obey": "必须 必須 务必 必ず 반드시",
}

CONCEPT_NAMES = (*_CONCEPTS, "question", "quote", "markup", "turn", "url", "blob", "spaced", "hidden", "fence")
"""All concepts; the last ones are told by a token's form."""


def _split(table: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    words: dict[str, str] = {}
    prefixes: dict[str, str] = {}
    for concept, text in table.items():
        for term in text.split():
            target = prefixes if term.endswith("*") else words
            target.setdefault(term.removesuffix("*"), concept)
    return words, prefixes


_WORDS, _PREFIXES = _split(_CONCEPTS)
_LENGTHS = sorted({len(prefix) for prefix in _PREFIXES}, reverse=True)
TERMS, _ = _split(_EVERYWHERE)
"""Terms of languages without spaces, and their concepts."""


def find_concept(word: str) -> str | None:
    """Return what a folded word is about: one of `CONCEPT_NAMES`, or None for most words.

    Example:
        >>> find_concept("anweisungen")
        'instructions'
    """
    concept = _WORDS.get(word) or TERMS.get(word)
    if concept is None:
        for length in _LENGTHS:
            if len(word) >= length and (concept := _PREFIXES.get(word[:length])):
                return concept
    return concept
