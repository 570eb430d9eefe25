"""The peer FastAPI: verifies, parses and scores, and keeps nothing."""

import hashlib
import hmac
import json
import sys

import uvicorn
from fastapi import FastAPI, Request, Response

import plain_scoring

PORT, SECRET = int(sys.argv[1]), sys.argv[2].encode()
app = FastAPI()


@app.post("/webhook")
async def hook(request: Request):
    body = await request.body()
    digest = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(digest, request.headers.get("x-gitea-signature", "")):
        return Response(status_code=401)
    return plain_scoring.score(json.loads(body)["issue"])


uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="error", access_log=False)
