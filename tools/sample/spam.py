# ruff: noqa: E501  (templates are prose: one thought a line)
"""Messages that want something from a stranger: a paid call, a fee, a code, a transfer, a click. The loud ones shout about it, the
`QUIET` ones sound like a friend or a firm, and only what they ask for gives them away."""

LOUD = """
{URGENT!|WINNER!!|Congratulations!|Well done!} Your {mobile|mobile number|number} {has won|was drawn for|has been awarded} a [POUNDS] {prize|cash prize|bonus}. {To claim|Claim now:} call [PREMIUM] {from a landline|before midnight|today}. {Code [REF]|Cost 150p per min|18+ only|Valid 12 hrs}
{WINNER!!|WINNER!|You won!|Lucky you!} {Claim|Collect|Get} your {prize|reward|bonus|[TOY]} {now|today|now!}{ on [PREMIUM]| at [SITE]||}
{FREE|Get a FREE} [TOY] {for our customers|from [CO]|this week only}! {Just text|Text|Txt} {WIN|YES|GO|PHONE} to [SHORTCODE] {now|today}. {[FEW] per msg|Costs [FEW] per week|T&C apply}. {To stop text STOP|18+|Reply STOP to end}
You {have been chosen|were picked} {by [CO]|from our list} {to receive|for} {2 tickets to the final|a [TOY]|[POUNDS] in vouchers}. {Call|Ring} [PREMIUM] {to claim|to get yours} {before it goes|by [DAY]|today}. {Box [REF]|150p a min}
Private! Your {account statement|bonus points} for [MOBILE] {shows|show} [N]0 unused points. {To claim call|Redeem on} [PREMIUM] {code [REF]|before [DATE]|ID [REF]}.
{Lonely?|Bored tonight?|Single?} {Local girls|Hot singles near you|Meet people in your town} are {waiting to chat|online now}! {Text CHAT to [SHORTCODE]|Call [PREMIUM]|Join at [SITE]} {[FEW] per msg|18+|first minute free}.
{New ringtones|Top 10 tones|The latest games} for your {phone|mobile}! {Text TONE to|Reply TONE to|Send HIT to} [SHORTCODE] {only [FEW] a week|from [CO]|[FEW] each}.
{Need cash|Bad credit|Debts}? {Borrow|Loans from|Get} [POUNDS] {today|in one hour}, {no checks|no questions asked|all accepted}. {Call [PREMIUM]|Apply at [SITE]|Text LOAN to [SHORTCODE]} {now|free quote|}.
{Had an accident|Were you hurt at work}? You {could be owed|may be entitled to} [POUNDS]. {To claim for free reply YES|Text CLAIM to [SHORTCODE]|Call [PREMIUM]}. {To opt out text STOP|}
2nd attempt! We tried to {reach|contact} you about your {prize|[TOY]|cash award}. {Call [PREMIUM] now|You must call [PREMIUM] today|Ring [PREMIUM]} {or it is lost|claim [REF]|150p per min}.
{Summer|Winter|Weekend} sale! {Half price [TOY]s|Upgrade to a new [TOY]} {with [CO]|from [CO]}, {order on [PREMIUM]|pay now at [SITE]|text BUY to [SHORTCODE]}. {Hurry|Last chance|Offer ends [DAY]}!
{Guess who|Someone you know} {likes you|has a crush on you}! {Find out on|To see who call} [PREMIUM]. {[FEW] per min|18+|Max 10 mins}
""".strip().splitlines()

QUIET = """
{Hi mum|Hi dad|Hey mum|Hello mum}{ it's me|, me again|}, {I dropped my phone in the sink|my phone broke|lost my phone}, this is {my new number|a friend's number|the new one}. {I have to pay a bill today|The rent is due|I'm stuck}, can you {send|transfer} [SUM] to {this account|my mate's account|the account I give you}? {Will explain later|Pay you back [DAY]|Don't call, mic is broken} [BYE]
{Hey|Hi|Hiya} it's {me|[NAME]}, {lost my phone|new number|locked out of everything}, can you send {me|over} {50 quid|100 quid|60} {til friday|til monday}? {I'll give you the account|Use this link: [SITE]|My wallet is gone too} {[BYE]|please|}
[SHOP]: your parcel {is held|could not be delivered|is waiting at the depot}. {Pay the [FEW] fee|Settle [FEW] for postage|Confirm the address and pay [FEW]} at [SITE] {today|by [DAY]|or it goes back}.
[BANK]: {a new device was added to your account|a payment of [SUM] is pending|your card is on hold|we saw an odd login}. {If this was not you, sign in at|Confirm your pin and password at|Verify your details on} [SITE] {now|within 24 hours|}.
You have 1 new voicemail {from a friend|waiting|, left at [TIME]}. {To listen call [PREMIUM]|Hear it at [SITE]|Dial [PREMIUM] to hear who it is}.
Uncle [NAME] here, {I doubled my savings|I made [SUM] in a week} with {a new coin|this little app|a trader I know}. {Put in 200 and I show you|Send me 200 and I double it for you|Join with my link [SITE]}, {family only|don't tell your aunt|by [DAY]} [BYE]
{Hello|Hi}, {is this [NAME] from the gym|are you [NAME]'s friend|we met at the fair I think}? {I'm new in town|I found your number in my bag|You seem nice}. {My photos are on|Write me on|Come and see me on} [SITE] {[BYE]|it's free to look|I'm waiting}
The tax office: you {are due|are owed} a refund of [SUM].[N]. {Give your card number at|Enter your bank details on|Send your account number to claim it:} [SITE]
{Your|Your [CO]} bill {was not paid|failed} {this month|on [DATE]}. {To keep your number update your card at|Send your card details to|Avoid a fee, pay at} [SITE]
{Hello dear|Good day|My dear friend}, I am {a widow|a lawyer|a doctor} {with a sum of [SUM]000 to share|and your name is in a will}. {Send your bank details|Write to me on [MOBILE] with your account number|A small fee opens the account}. {God bless|Kind regards}
{Earn|Make} [SUM] a week {from home|from your sofa|on your phone}, {no experience|2 hours a day}, {just pay for the starter pack at|message our manager on|deposit 30 to begin at} [SITE] {[BYE]|ask for [NAME]|}
Hi, I {sent you a code by mistake|got locked out, a code came to your phone}. {Can you text me the 6 numbers|Please send me the code|What is the code, I need it quick} [BYE]
{It's your boss|This is [NAME] from work|It's the manager}, {in a meeting so can't talk|are you at your desk}? {Buy 4 gift cards and text me the numbers|I need 3 gift cards for a client, send me the codes|Pay a bill for us, I send you the account}, {will pay you back|keep it quiet|asap}
{Your flat viewing is on [DAY]|The flat is yours|I hold the room for you}, {send the deposit of [SUM] first|just transfer [SUM] so nobody else gets it|pay the holding fee at [SITE]}. {I am abroad, keys by post|The landlord [NAME]|Many are asking}
{Library|School|Dentist}: you have an unpaid {fine|charge|balance} of [FEW]. {Enter your card at|Pay by card at|Settle it on} [SITE] {today|by [DAY]|to avoid court}.
{[NAME] left you|You have} a {photo|private message|secret admirer}. {See it at|Open it on|Reply to} [SITE] {[FEW] a week|then enter your card|}
{See this video of you|Is this you in the photo|Look who was talking about you}? [SITE] {sign in to see|enter your password to open|} {lol|omg|haha|}
{Send me|Text me} {your pin|your card number|your password|the long number on your card}{, I need to check it|, the bank asks|, quick} [BYE]
""".strip().splitlines()
