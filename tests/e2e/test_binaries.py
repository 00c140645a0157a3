"""How every program behaves at start: help, version, and a word on what is wrong with its settings."""
import os
import re
import subprocess

import pytest

from stack import BIN, free_port

SERVICES = ["tiffin-order", "tiffin-router", "tiffin-webhook-processor", "tiffin-reconciler", "tiffin-notifier"]
PROGRAMS = ["tiffin-gateway", *SERVICES, "tiffin-tap", "tiffin-psp", "tiffin-psp-sim"]
WITH_PSPS = ["tiffin-gateway", "tiffin-router", "tiffin-reconciler"]
UNREACHABLE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1",
               "API_ADDR": "127.0.0.1:1"}
SETTINGS = {
    "tiffin-gateway": ["API_ADDR", "HUB_BIND", "TAP_BIND", "REDIS_URL", "WS_MAX", "WS_TOKEN_SECRET", "TIFFIN_ENV",
                       "RAZORPAY_WEBHOOK_SECRET"],
    "tiffin-order": ["DATABASE_URL", "REDIS_URL", "HUB_ADDR", "METRICS_ADDR", "ORDER_TTL_S", "TIFFIN_ENV", "LOG_LEVEL"],
    "tiffin-router": ["DATABASE_URL", "HUB_ADDR", "RAZORPAY_BASE_URL", "CASHFREE_KEY_ID", "JUSPAY_KEY_SECRET"],
    "tiffin-webhook-processor": ["DATABASE_URL", "REDIS_URL", "HUB_ADDR", "PARK_FOR_S"],
    "tiffin-reconciler": ["DATABASE_URL", "REDIS_URL", "HUB_ADDR", "RECONCILE_INTERVAL_S", "RAZORPAY_BASE_URL"],
    "tiffin-notifier": ["DATABASE_URL", "REDIS_URL", "HUB_ADDR"],
    "tiffin-tap": ["TAP_ADDR"],
    "tiffin-psp": ["verify FILE", "--now"],
    "tiffin-psp-sim": ["PSP_SIM_ADDR", "PSP_SIM_WEBHOOK_URL", "PSP_SIM_DATA_FILE"],
}
# program, environment, the setting that the refusal must name
REFUSALS = [
    *[(program, {"DATABASE_URL": ""}, "DATABASE_URL") for program in SERVICES],
    *[(program, {"REDIS_URL": "http://nonsense"}, "REDIS_URL")
      for program in ("tiffin-gateway", "tiffin-order", "tiffin-webhook-processor", "tiffin-reconciler", "tiffin-notifier")],
    *[(program, {"TIFFIN_ENV": "staging"}, "TIFFIN_ENV") for program in ["tiffin-gateway", *SERVICES]],
    *[(program, {"LOG_LEVEL": "loud"}, "LOG_LEVEL") for program in ["tiffin-gateway", *SERVICES]],
    *[(program, {"HUB_ADDR": "nonsense://x"}, "HUB_ADDR") for program in SERVICES],
    *[(program, {"INSTANCE": "with blank"}, "INSTANCE") for program in ["tiffin-gateway", *SERVICES]],
    ("tiffin-gateway", {"API_ADDR": "nowhere"}, "API_ADDR"),
    ("tiffin-gateway", {"HUB_BIND": "nonsense"}, "HUB_BIND"),
    ("tiffin-gateway", {"TAP_BIND": "nonsense"}, "TAP_BIND"),
    ("tiffin-gateway", {"WS_MAX": "-1"}, "WS_MAX"),
    ("tiffin-gateway", {"WS_MAX": "many"}, "WS_MAX"),
    ("tiffin-gateway", {"WS_TOKEN_SECRET": "0123456789abcdef0123456789abcde"}, "WS_TOKEN_SECRET"),
    ("tiffin-gateway", {"WS_TOKEN_TTL_S": "0"}, "WS_TOKEN_TTL_S"),
    *[(program, {"METRICS_ADDR": addr}, "METRICS_ADDR") for program in SERVICES for addr in ("nowhere", "192.0.2.1:9100")],
    ("tiffin-order", {"ORDER_TTL_S": "0"}, "ORDER_TTL_S"),
    ("tiffin-order", {"ORDER_TTL_S": "99999999999999999999"}, "ORDER_TTL_S"),
    ("tiffin-webhook-processor", {"PARK_FOR_S": "-1"}, "PARK_FOR_S"),
    ("tiffin-reconciler", {"RECONCILE_INTERVAL_S": "0"}, "RECONCILE_INTERVAL_S"),
    ("tiffin-router", {"RAZORPAY_BASE_URL": "ftp://x"}, "RAZORPAY_BASE_URL"),
    ("tiffin-psp-sim", {"PSP_SIM_ADDR": "nowhere"}, "PSP_SIM_ADDR"),
    ("tiffin-psp-sim", {"RAZORPAY_KEY_ID": "rzp_live_1"}, "RAZORPAY_KEY_ID"),
    ("tiffin-psp-sim", {"STRIPE_KEY_SECRET": "sk_live_1"}, "STRIPE_KEY_SECRET"),
    ("tiffin-router", {"PUBLIC_URL": "pay.example"}, "PUBLIC_URL"),
    ("tiffin-tap", {"TAP_ADDR": "nonsense://x"}, "TAP_ADDR"),
]
PROD_KEYS = {f"{psp}_{name}": f"real-{name.lower().replace('_', '-')}" for psp in ("RAZORPAY", "CASHFREE", "JUSPAY")
             for name in ("KEY_ID", "KEY_SECRET", "WEBHOOK_SECRET")}
PROD = PROD_KEYS | {f"{psp}_BASE_URL": f"https://api.{psp.lower()}.example" for psp in ("RAZORPAY", "CASHFREE", "JUSPAY")}


def run(program, *arguments, **env):
    base = {"PATH": os.environ["PATH"], "TIFFIN_ENV": "dev", "ASAN_OPTIONS": "exitcode=99",
            "HUB_BIND": f"tcp://127.0.0.1:{free_port()}", "TAP_BIND": f"tcp://127.0.0.1:{free_port()}"}
    return subprocess.run(["setpriv", "--pdeathsig", "KILL", "--", BIN / program, *arguments], env=base | UNREACHABLE | env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_names_every_setting_and_version_the_program(program):
    shown = run(program, "--help", DATABASE_URL="", REDIS_URL="")
    assert shown.returncode == 0 and program in shown.stdout
    assert not [name for name in SETTINGS[program] if name not in shown.stdout]
    version = run(program, "--version", DATABASE_URL="")
    assert version.returncode == 0 and re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", version.stdout), version.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_unknown_argument_is_refused(program):
    refused = run(program, "--frobnicate")
    assert refused.returncode == 78 and "--frobnicate" in refused.stdout, refused


@pytest.mark.parametrize("program, env, setting", REFUSALS, ids=lambda value: str(value))
def test_a_bad_setting_is_named_and_ends_with_78(program, env, setting):
    refused = run(program, **env)
    assert refused.returncode == 78, refused
    assert re.search(rf"\b{setting}\b", refused.stdout), refused.stdout


@pytest.mark.parametrize("name", [name for name in PROD_KEYS if name.endswith("SECRET")])
@pytest.mark.parametrize("program", WITH_PSPS)
def test_production_refuses_development_secrets(program, name):
    refused = run(program, **{**PROD, "TIFFIN_ENV": "prod", name: "dev-secret"})
    assert refused.returncode == 78 and name in refused.stdout, refused


def test_production_refuses_a_gateway_without_api_keys():
    refused = run("tiffin-gateway", TIFFIN_ENV="prod", **PROD)
    assert refused.returncode == 78 and "API_KEYS_FILE" in refused.stdout, refused


@pytest.mark.parametrize("secret", ["", "dev-secret-for-websocket-tokens-only", "real-but-short"])
def test_production_refuses_a_gateway_whose_tokens_anybody_could_make(secret, tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"shop read,write {'ab' * 32}\n")
    refused = run("tiffin-gateway", TIFFIN_ENV="prod", API_KEYS_FILE=str(file), WS_TOKEN_SECRET=secret, **PROD)
    assert refused.returncode == 78 and "WS_TOKEN_SECRET" in refused.stdout, refused
    assert not secret or secret not in refused.stdout
