# ruff: noqa: E501  (templates are prose: one thought a line)
"""Passing remarks: what people see, hear, say and do on the way. They fill the `~` of a story and use whoever it has introduced."""

BEATS = (
    """
On the way [a] saw [SIGHT], {but nobody else looked up|and had to laugh|and wanted to draw a picture of it|and told everybody about it later}.
[a] saw [SIGHT] {next to|behind|not far from} the [PART], and then [SIGHT].
{Somewhere|Not far away|In the distance} [SOUNDING], and {[a] turned around|[a] jumped|everyone looked up|then it was quiet again}.
The air smelled of [SMELL] and [SMELL], {which [a] liked|and [a] thought of home|and [a] sneezed twice}.
A [VIRTUE] [PEOPLE] {waved|nodded|smiled|called out|winked} [ADVERB], and [a] {waved|nodded|smiled|bowed} back.
"[EXCLAIM]!" {said|called|cried|whispered} [a] [TONE]. "{There goes|I can see|That must be} a [LOOK] [THING]!"
[a] {stopped|sat down|stood still|leaned on the [PART]} and {ate|shared|unwrapped} some [FOOD] with [DRINK].
[a] hurt [a.his] [BODY] on the [LOOK] [PART], but it {was nothing|did not bleed|stopped hurting soon|only stung a little}.
[a] thought about [HOBBY], and also a little about [HOBBY].
It was {good|hard|slow|honest} work, [a] thought, even if [a.his] [BODY] {was sore|ached|felt stiff}.
[a] {counted|saw|passed} [NUMBER] [LOOK] houses and [NUMBER] [COLOUR] doors.
"Do you like [HOBBY]?" {a [PEOPLE] asked|asked a [PEOPLE]}. "{Not really|Sometimes|Very much|More than anything}," said [a].
[a] {hummed a song|told a joke|whistled|counted the trees} and {walked on|went on} [ADVERB].
The [PEOPLE] and the [PEOPLE] were {arguing|talking|laughing} about [FOOD] and [HOBBY].
A [COLOUR] [THING] lay on the [PART], but it was {broken|not important|somebody else's|too heavy to lift}.
Under {a|the} [TREE] grew a [COLOUR] [FLOWER], and beside it a [LOOK] [FLOWER].
[a]'s [KIN] had always said that [HOBBY] {was good for the heart|made people [GOOD]|took [NUMBER] years to learn}.
It took [NUMBER] minutes, {or perhaps [NUMBER]|and every one felt long|and then it was done}.
"{My|Our} [KIN] has a [LOOK] [THING] made of [MATERIAL]," a [PEOPLE] {said|explained} [TONE].
{For a moment|For a while} [a] felt [BAD], but {then|after some [FOOD]|after a cup of [DRINK]} [a.he] felt [GOOD] again.
[a] and [b] {talked about|spoke of|laughed about} [HOBBY] {and [HOBBY]|all the way|for a while}.
"You are very [VIRTUE]," said [b]. "{Thank you|You too|So are you|Not always}," said [a] [ADVERB].
"[EXCLAIM]!" said [b], and pointed at [SIGHT].
[b] {offered|gave} [a] some [FOOD], and [a] gave [b] a [LOOK] [FLOWER].
[b] {tripped over|bumped into|fell over} a [LOOK] [THING], and [a] {helped [b.him] up|laughed|held [b.his] [BODY]}.
"Are you [BAD]?" asked [b]. "No, only {tired|hungry|[feel]}," {said|answered} [a].
[b] was {better|quicker|slower} at [HOBBY], and [a] was {better|quicker|slower} at [HOBBY].
[a] {pulled|wrapped|held} [a.his] [wrap] {tighter|closer}, because [a.he] was [feel].
[a] lent [b] [a.his] [wrap], for [b] was [feel].
[a] was glad of [a.his] [wrap], since the day was {still|so} [weather].
[p] the [p.kind] [p.sounded], because {it|[p]} {was hungry|wanted [p.food]|had seen [SIGHT]|had found a [LOOK] [THING]}.
[p] {ran ahead|stayed close|was asleep}, and {everybody|[a]} {laughed|said that a [p.kind] knows best}.
"What does [p] want?" asked a [PEOPLE]. "[p.food^]," said [a]. "A [p.kind] always wants [p.food]."
{In [town]|Everybody in [town] knew that} the [PEOPLE] {liked|loved|was known for} [HOBBY].
The people of [town] were {known for [HOBBY]|[VIRTUE] and [VIRTUE]|busy [TIME]}.
At the [PLACE] {there was a smell of [SMELL]|stood a [LOOK] [THING]|a [PEOPLE] was selling [FOOD]|it was quiet|[SOUNDING]}.
[a] {still held|looked at|kept an eye on|was careful with} the [x.look] [x].
"Is that [x] made of [MATERIAL]?" asked a [PEOPLE]. "No, of [MATERIAL]," said [a].
A [PEOPLE] wanted to buy the [x] for [NUMBER] coins, but [a] said no [ADVERB].
""".replace("[p.food^]", "[^p.food]")
    .strip()
    .splitlines()
)
