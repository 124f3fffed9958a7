# ruff: noqa: E501  (templates are prose: one thought a line)
"""Topics that open alike in both classes: a parcel, a bank card, a lost phone. The ending tells: spam wants money, a code or a paid
call from the reader; honest messages give, warn or ask for nothing. Both use the same words for it.

Each row: how it opens, how an honest sender goes on, how a crook does.
"""

import random
import re

CROSSED = (
    (
        "[SHOP]: your parcel {is at the depot|could not be delivered|is on its way}.|Your [SHOP] parcel {is waiting|was sent back|has arrived at the depot}.|Hi, [SHOP] here about your parcel.",
        """Postage is already paid, there is no fee. Collect it {by [DAY]|today}.
We try again on [DAY], no need to pay or call.
A neighbour signed for it at [TIME], so nothing to confirm.
Show this text at the desk, the fee was paid by [NAME].
Details are in the app, we never send a link.""",
        """There is a fee, pay [FEW] at [SITE] {by [DAY]|today}.
Postage is not paid, confirm your card and we try again on [DAY].
No neighbour signed, so call [PREMIUM] and confirm.
The fee of [FEW] was not paid by [NAME], pay it at the link [SITE]
Details are at the link [SITE], have your card ready.""",
    ),
    (
        "[BANK]: {we saw an odd login|a payment of [SUM] is pending|a new device was added|your card is on hold}.|[BANK] security: {your card was used at [SHOP]|a payment was stopped}.",
        """We stopped it and your money is safe. No need to confirm your pin.
If this was not you, come to any branch or call the number on your card.
We will never ask you to send your password or pin.
A new card is in the post to you, there is nothing to pay.
If it was you, do nothing. We never text a link.""",
        """To stop it and keep your money safe confirm your pin at [SITE]
If this was not you, send your password or call the number [PREMIUM].
We have to ask you to send your pin and password.
A new card is waiting, pay [FEW] for the post at [SITE]
If it was not you, do this now: open the link [SITE]""",
    ),
    (
        "{Hi|Hey|Hiya} {mum|dad|nan|love}{ it's me|}, {lost my phone|my phone broke|dropped my phone}, this is my new number.|Hi it's [NAME], new number, the old {phone|one} {is gone|broke}.",
        """The shop paid for it so no money needed, call you [WHEN].
I don't need anything, just save it. Will send you a photo [WHEN].
Dad gave me his old one. Can I bring the washing [WHEN]?
Rent is paid and all is fine, ring me on this one [BYE]
Still got your 50 quid, will hand it over [WHEN] [BYE]""",
        """The shop must be paid and I need money, don't call.
I need something, just send [SUM] and I explain [WHEN].
Dad can't know. Can you transfer [SUM] [WHEN]?
Rent is due and my bank is locked, pay it for me on this account [BYE]
Still need 50 quid, will send you the account [WHEN] [BYE]""",
    ),
    (
        "You have {1|a} new {voicemail|message|missed call}{ from [NAME]| left at [TIME]|}.|[CO]: {1|a} new voicemail is waiting for you.",
        """Dial 121 to hear it, calls are free.
It is free to listen, no code needed.
[NAME] says: call me back [WHEN], nothing urgent.
Listen in the app, we charge nothing.""",
        """Dial [PREMIUM] to hear it, calls are [FEW] a min.
To listen send the code we text you, then it is free.
[NAME] says it is urgent: call back on [PREMIUM].
Listen on [SITE], we charge [FEW].""",
    ),
    (
        "{Free|2 free|Cheap} tickets for the {match|show|concert|final} {on [DAY]|this weekend}!|{I|We} have 2 {free |}tickets for the {match|final|show}{ on [DAY]|}!",
        """[WHO] can't go, so you get mine. Call me and they are yours.
You pay nothing, I won them at work. Come with me?
Reply yes and I bring them to [SPOT].
I claim the seat next to you lol. Call me when you finish.""",
        """You can't lose, so get yours. Call [PREMIUM] and they are yours.
You pay nothing, only [FEW] a min to win them. Ring [PREMIUM].
Reply YES to [SHORTCODE] and we bill [FEW].
Claim your seat, call the prize line [PREMIUM].""",
    ),
    (
        "{Congratulations|Congrats|Well done}, you {won|have won} {the raffle|the quiz|first prize|our draw}!|You are {our winner|the winner} {this week|today}!",
        """The prize is a cake, claim it at the {staff room|school desk|club} on [DAY].
Your {mug|cake|bottle of red} is on your desk. Well deserved, [NAME].
Everyone in the club voted for you. Drinks [WHEN]?
[WHO] has your prize and brings it round, nothing to send.""",
        """The prize is [POUNDS], claim it on [PREMIUM] by [DAY].
Your {cash|prize} is on hold. Send the fee of [FEW], [NAME].
Everyone on the list pays [FEW] to be sent theirs. Call [PREMIUM].
[NAME] has your prize, send your account and it comes round.""",
    ),
    (
        "{Can|Could} you {do me a favour|help me out}{ [WHO]|}?|{Are you|you} {there|at your desk|free}{ [WHO]|}? {Quick favour|Need a favour}.",
        """Buy milk and a card for [WHO], I pay you back at [SPOT].
I left my code for the gym at home, it's on the fridge.
Send me a photo of the cat, I miss her.
Bring the gift for [WHO], I paid for it at [SHOP].
Keep 20 quid from the jar for [WHO] [BYE]""",
        """Buy gift cards for a client, I pay you back.
I left my card at home, send me the code that comes to you.
Send me a photo of your bank card, I explain later.
Pay for the gift at [SHOP] and text me the numbers of the card.
Send 20 quid to the account of my friend [BYE]""",
    ),
    (
        "{The tax office|The council|HM Revenue}: {your refund|a refund of [SUM]} {is ready|was approved}.|Your {refund|rebate} from [CO] {is ready|has been worked out}.",
        """It was sent to your account, there is no form to fill in.
We pay it by cheque and need no card details.
You get it with your wages in [N] days, do not reply.
It shows on your next bill, nothing to claim.""",
        """To get it sent, fill in the form with your account at [SITE]
We need the card details before we pay, reply with them.
You get it in [N] days if you reply with your bank details.
Claim it at [SITE] or it is lost.""",
    ),
    (
        "{Hello|Hi|Hey} {stranger|you|there|gorgeous}, {remember me|long time|it's [NAME]}?|{Hi|Hey}, {is this|am I speaking to} [NAME]?",
        """We met at [SPOT] with [WHO], fancy a coffee [WHEN]?
I have your scarf from the party, can drop it at [SPOT].
Saw your photo at nans, you looked so happy [BYE]
It's [WHO] from work, free to chat [WHEN]?""",
        """We met on the site, my photos are at [SITE]
I have photos for you, join me at [SITE]
Saw your photo and you look nice, chat with me on [PREMIUM] [BYE]
I'm free to chat now, text back to [SHORTCODE], [FEW] each.""",
    ),
    (
        "{Your|The} {gym|phone|tv|insurance} {plan|contract} {ends|runs out} on [DATE].|[CO]: your {bill|plan} {for this month is here|has changed}.",
        """It renews by itself, no need to pay now.
It was paid by card, thank you. Reply STOP to get letters instead, free.
No charge this month, you have [N] free minutes left.
Come to the desk if you want to stop, it costs nothing.""",
        """It ends today if you do not pay now at [SITE]
Your card was not charged. Pay by text: send PAY to [SHORTCODE], [FEW].
Get [N] free minutes, reply YES, then [FEW] each month.
Call [PREMIUM] if you want to keep it.""",
    ),
    (
        "{Uncle|Auntie|Cousin} [NAME] {here|says hi}. {You know that new coin|Remember the shares|About that bitcoin}?|{I put|[NAME] put} {200|500} in {a coin|shares} {last week|on [DAY]}.",
        """Lost it all, so don't put money in, learn from me lol
It's gone, dinner is on you [WHEN] lol
Your aunt is not speaking to me, send help [BYE]
Sold it and paid for the [TOY], come and see it [WHEN].""",
        """It doubled, so put money in with me, send 200 [WHEN].
It's growing, your share is free if you send 200 now.
Don't tell your aunt, send me what you have [BYE]
I can double yours, pay it to my trader at [SITE]""",
    ),
    (
        "{About the flat|The room|About the job}{ [NAME]|}: {it's yours|you got it|they said yes}!|{Good news about the flat|Good news}, {it's yours|they said yes}!",
        """Come and see it [WHEN], pay nothing before you have the keys.
Deposit is due when we meet, bring your passport to [SPOT].
[WHO] moves out on [DATE], I hold it for you.
I start on [DATE], first wages are for your dinner [BYE]""",
        """Pay [SUM] before you come and see it, keys are sent by post.
Deposit is due now as I am abroad, send it today.
Many ask, so send [SUM] and I hold it for you.
You start on [DATE], first pay [SUM] for the training at [SITE]""",
    ),
)


def crossed(rng: random.Random, honest: bool) -> str:
    """One template: an opening that says nothing about its sender, an ending that does."""
    openings, good, bad = rng.choice(CROSSED)
    # The | outside braces parts the openings.
    opening = rng.choice(re.split(r"\|(?![^{]*\})", openings))
    ending = rng.choice((good if honest else bad).splitlines())
    return f"{opening} {ending}"
