"""From labels to an adapter; so far, the preference dataset. The only room that may meet torch, trl and peft."""
