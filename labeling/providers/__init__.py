"""The seam between thinking and the wire: a `Transport` carries one question to one model and brings the answer back.

base.py       the words: question, answer, what can go wrong
routes.py     judge -> litellm's name for it, address, key, price
completion.py the default transport: `litellm.acompletion`
wire.py       the fast one: litellm translates, http.py carries
http.py       connections that are kept and used again
parity.py     proof that the fast one sends and reads what litellm does
batch.py      the words of batches; batch_openai.py and batch_anthropic.py the protocols, batch_apis.py who speaks which
simulated.py  judges with known faults; server.py and server_batches.py serve them on loopback
"""
