# ruff: noqa: E501  (templates are prose: one thought a line)
"""Messages that people and honest firms send. The `LOOKALIKES` use the words of spam, but nobody is asked for money, codes or calls
to a paid number: what tells them apart is who gains."""

EVERYDAY = """
[HEY] [WHO] {are you|r you} {coming|about|free|around} [WHEN]?
[HEY], {running late|stuck in traffic|missed the bus|still at work}, {be there|see you} [WHEN]
{Ok|Okay|Yeah ok|Sure|No worries|Cool|Fine}{| [BYE]|, see you [WHEN]|, [WHEN] then}
{lol|haha|omg|aww} {no way|that's so funny|you're mad|you're joking|typical [WHO]|I can't believe it}
Can you {get|pick up|bring|grab} [STUFF] {on the way home|when you come|please|from the shop}? {We've run out|Thanks [BYE]|I forgot|}
{What's for tea|What are you doing|Where are you|What time are you home|You ok|Did you eat}{ [WHEN]| [WHO]|}?
I'm {at|in|near|outside} [SPOT]{, where are you|. Are you here yet|, come find me|. It's packed|}
{Happy birthday [NAME]|Happy birthday|Many happy returns}{! Have a great day| love from all of us| hope you get spoilt} [BYE]
{Good night|Night night|Morning|Sleep well}{ love| babe| sweetheart|} {sweet dreams|miss you|see you tomorrow|hope you slept well} [BYE]
{Making|Having|Cooking|Just had} [EAT]{, want some|. It was rank|, save you a plate|, come over|, so good|}
Did you {watch|see} the {match|film|news|final} last night? {What a goal|So boring|I fell asleep|[WHO] cried|Unbelievable}
{Exam|Lecture|Meeting|Interview|Shift} went {ok|really well|terribly|fine I think}, {will tell you [WHEN]|drinks [WHEN]?|so tired now|glad it's over}
I {love|miss} you {so much|loads|too|more}{, can't wait to see you [WHEN]|, come home soon|} [BYE]
{Sorry|Soz}{ I missed your call| I didn't text back| about last night| I forgot}, {was asleep|phone was dead|in a meeting|been mad busy}. {Call you [WHEN]|You ok|Will ring [WHEN]}?
[WHO] says {hi|dinner is at 7|the cat is fine|you left [STUFF] here|it's your turn to drive|the boiler is broken again}
{It's raining|It's freezing|It's boiling|Snow everywhere} {here|in town|at mine}, {take a coat|staying in|bring boots|so lazy today}
{Fancy|Up for|Do you want to go for} {a pint|a coffee|a run|[EAT]|a walk|bowling} [WHEN]? {[WHO] is coming too|My treat|I'm bored|}
{Thanks for|Loved} {the lift|dinner|last night|the card|listening|helping me move}, {you're a star|really kind|I owe you one|was lovely} [BYE]
{I think|Maybe|Pretty sure} I {left|lost|forgot} [STUFF] at [SPOT]. {Can you check|Have you seen it|Gutted|}?
{Don't forget|Remember} {[STUFF]|nan's dinner|the dentist|bin day|to feed the cat|your gym kit} [WHEN]
Just {got home|woken up|landed|finished|left}, {knackered|so hungry|train was packed|talk [WHEN]|all good} [BYE]
How {is|was} {your mum|the baby|work|the new flat|your knee|uni|the hangover}? {Thinking of you|Tell me all|Been worried|} [BYE]
{Why do you|You always} {say|do} that {when I'm|if I'm} {tired|right|at work}? {Only joking|Whatever|Talk [WHEN]} [BYE]
I {feel|still feel} {rough|sick|awful|a bit better}, {staying in bed|not coming in [WHEN]|gone to the doctor|making soup}
[WHO] {had the baby|passed the test|got the job|got engaged}!! {So happy|Crying|Ring me|Told you} [BYE]
{The plumber|The landlord|Grandad|The teacher|Your brother} {is coming|rang|wants to know if you're in} [WHEN]. {Can you let him in|What shall I say|Be nice|}
{Yes|Yep|No|Nope|Nah}{, not really|, I think so|, don't worry| I did it already|, ask [WHO]|}
{Did you get|Have you got} my {text|email|photos|present}? {No reply lol|Let me know|It was from [WHO]|}
""".strip().splitlines()

SERVICES = """
Reminder: your {dental|eye test|doctor's|physio|hospital} appointment is on [DAY] [DATE] at [TIME]. {If you can't come, ring the desk on [LANDLINE].|Please arrive 5 minutes early.|Bring your glasses.}
[SHOP]: your parcel {will arrive|is out for delivery} {today|on [DAY]} between {8 and 10|10 and 12|12 and 2|1 and 3|2 and 4|5 and 7}. {No need to reply.|Your driver is [NAME].|It will be left with a neighbour if you are out.}
[SHOP]: your order [REF] is ready to collect {at the store|from the desk} until [DAY]. {Nothing to pay.|Already paid, just bring this text.|Open until [TIME].}
Library: {the book you reserved is here|your loan is due on [DATE]|2 items are due back on [DAY]}. {We keep it for 7 days.|Renew at the desk or on [LANDLINE].|There are no fines for children.}
[BANK]: {your statement is ready in the app|your card ending [N]21 was used at [SHOP] for [FEW]|your salary of [POUNDS] was paid in today}. {We never ask for your pin or password.|If this was you, there is nothing to do.|No action is needed.}
[CO]: {your bill of [FEW]0 was paid, thank you|your top up of 10 has been added|you have used 80% of your data this month}. {Nothing to do.|Your plan renews on [DATE].|Thank you for staying with us.}
You have 1 {new|missed} {message|call} from [WHO]. {Dial 121 to listen, it is free from your phone.|Press 1 to hear it, free on your plan.|They rang at [TIME].}
{School|Nursery}: {the trip is on [DAY], please send a packed lunch|no classes on [DAY] because of snow|parents evening is at [TIME] in the hall}. {Thank you.|Mrs Lane.|}
Your code is [REF]. {Do not share it with anyone, even us.|It is valid for 10 minutes. Never tell anyone this code.}
[NAME]'s {garage|salon|cafe|surgery}: {your car is ready|your table is booked for [TIME]|we had a free slot and moved you to [DAY] at [TIME]}, {see you then|pay when you collect|ring [LANDLINE] if that does not suit}.
{Gym|Choir|Football} on [DAY] is {cancelled|moved to [TIME]}, {sorry|pitch is flooded|[NAME] is ill}. {Refund goes back to your card by itself.|Next week as usual.}
The council: bins are collected on [DAY] this week. {Free garden bags at the town hall.|See [SITE] for the calendar.|No reply needed.}
""".strip().splitlines()

LOOKALIKES = """
You {WON|have won} the prize for {laziest flatmate|worst singer|best daughter|loudest snorer}!! Claim it by {doing the dishes|making tea|hugging your [WHO]|taking the bins out} [BYE]
[HEY] [WHO] {won|got given} {2 free tickets|free tickets} for {the match|the concert|the show} [WHEN], {want one|call me if you want to come|you in}? {Call my mobile|Ring me|Call me now} {before [WHO] takes it|when you finish|at lunch}
URGENT!! {we need|please get} [STUFF] and {cake|wine|balloons}, {guests|your parents|the kids} here [WHEN], call {me|[WHO]} now
{Free|I'm free|Are you free} [WHEN]? {[WHO] has a spare ticket|cinema is half price|there's cash for the babysitter in the jar|drinks are free for nurses}, text me {back|asap}
{Some scammer|Someone} {just|keeps} {texting|sent} me {"you have won [POUNDS], call [PREMIUM]"|"claim your free [TOY] now"|"your account is locked, click here"} {lol, as if|what a joke, deleted|don't reply to those|did you get it too}?
{Fwd from [WHO]|The boss says|IT dept says}: if you get {a text about a parcel fee|a prize text|an urgent bank text}, {do not click|don't call them|never pay}, {just bin it|tell me|it's a scam}
To stop those {prize|ringtone|loan} texts {just|you} {text|txt} STOP to the {number|same number}, {it worked for me|it costs nothing|[WHO] did it too} [BYE]
[HEY] {it's [NAME]|[NAME] here}, {lost my phone|got a new phone|changed network}, this is my new number{, save it|. Same old me|, delete the other|} {see you [WHEN]|[BYE]|tell [WHO] too}
Can you lend me {a tenner|20 quid|50 quid} {til friday|til payday}? {I'll pay you back when I see you at|Give it to me at|You can hand it over in} [SPOT] [BYE]
{Mum won|[WHO] won|We won} [SUM] {on the lottery|at bingo|in the raffle}!!! {Dinner is on her|No joke, cash in hand|She's buying me a [TOY]|Ring home}
{Owe you|I owe you|Paid you back} 20 quid for {the tickets|the curry|petrol}, {cash or bank|I've put it in your account|will give you cash} [WHEN]
{Your parcel came|A parcel came for you}, I {signed for it|paid the fee, 2 quid|hid it in the shed}, {it's on the table|what is it|come get it [WHEN]} [BYE]
The {bank|tax office|council} {sent my refund|finally paid me back}, [SUM] {pounds|quid}, {drinks on me [WHEN]|holiday here we come|new tyres then lol}
{Last chance|Final offer|Special offer}: {clean your room and you get pizza|one kiss for one biscuit|you wash, I dry}, {offer ends at 6|reply now|call your [WHO]} [BYE]
Uncle [NAME] {won't stop talking about|lost his shirt on|says to buy} {bitcoin|shares|gold}, {help|send wine|don't let him near dad|I just nodded} lol
{Some random girl|A wrong number} {texted me hello stranger|wanted my photo|asked me to join her site}, {blocked|obviously a scam|told [WHO], we laughed}
Call {me|your mum|[WHO]} on [LANDLINE] {asap|when you can|now please}, {it's about the keys|nothing bad|my mobile is dying|dinner is ready}
{Congratulations|Congrats}!! {You got the job|You passed|Both of you}, {we are so proud|drinks [WHEN]|call me when you wake up|told you so} [BYE]
Got your {cash|money|prize|winnings}, {you left it on the fridge|[WHO] gave it me|will bring it [WHEN]}, {guaranteed|promise|count it} lol
{Is this|Is that} offer on {[TOY]s|phones} at [SHOP] still on? {[WHO] wants one|Can you ask when you're in|Free delivery too|Let me know}
""".strip().splitlines()

SHORTEST = (
    "ok",
    "k",
    "lol",
    "yes",
    "no",
    "where r u",
    "ok x",
    "haha yeah",
    "on my way",
    "home now",
    "call u later",
    "cool",
    "thx",
    "no idea",
    "im here",
    "5 mins",
    "u up?",
    "night x",
    "yep",
    "same",
    "sure",
    "not yet",
    "y?",
    "wot time",
    "aww x",
    "ring me",
    "done",
    "ok love u",
    "dunno",
    "gr8",
)
