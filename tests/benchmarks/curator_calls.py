"""The same questions through curator, in curator's own environment; call_cost.py runs this where CURATOR_PYTHON names its Python.

python curator_calls.py ADDRESS IN_FLIGHT FILE      FILE: messages, a JSON list a line
"""

import importlib.util
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {"TELEMETRY_ENABLED": "false", "CURATOR_DISABLE_RICH_DISPLAY": "1", "HF_HOME": tempfile.mkdtemp()}
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
litellm = Path(importlib.util.find_spec("litellm").origin).parent  # brings the tokenizer that curator would download
os.environ["TIKTOKEN_CACHE_DIR"] = str(litellm / "litellm_core_utils" / "tokenizers")

from bespokelabs import curator  # noqa: E402


class Judge(curator.LLM):
    def prompt(self, row):
        return row["messages"]

    def parse(self, row, response):
        return {"reply": response}


def main(address, in_flight, file):
    rows = [{"messages": json.loads(line)} for line in Path(file).read_text().splitlines()]
    limits = {"max_requests_per_minute": 10**7, "max_tokens_per_minute": 10**10, "max_concurrent_requests": in_flight}
    judge = Judge(
        model_name="gpt-4o-mini",
        backend="openai",
        backend_params={"base_url": address, "api_key": "none", **limits},
        generation_params={"temperature": 0.0, "max_tokens": 1024},
    )
    wall, cpu = time.perf_counter(), time.process_time()
    judge(rows, working_dir=tempfile.mkdtemp())
    print(f"{time.process_time() - cpu} {time.perf_counter() - wall}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
