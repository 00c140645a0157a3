"""Instructions of each micro benchmark under callgrind, which counts the same whatever else the machine does, against
instructions.json. What takes more than a twentieth more is a failure; --update writes the file anew.

check.py BENCH_MICRO [--update]"""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

FILE = pathlib.Path(__file__).resolve().parent / "instructions.json"
ITERATIONS = 500  # what happens once in a while, as when the heap grows, must not show in one operation
TOLERANCE = 0.05
# Which of their variants the libraries choose depends on the processor, also under valgrind, which shows the program one of its own that
# is like the machine's: the plain ones everywhere. Beside what a processor can do, glibc notes what it does well.
CAN = "AVX512F AVX512VL AVX512BW AVX2 AVX FMA BMI2 MOVBE ERMS FSRM RTM SSE4_2 SSE4_1 SSSE3"
DOES_WELL = "AVX_Fast_Unaligned_Load Fast_Unaligned_Load Fast_Unaligned_Copy Fast_Rep_String Fast_Copy_Backward Slow_BSF"
ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=" + ",".join(f"-{name}" for name in f"{CAN} {DOES_WELL}".split()),
               "OPENSSL_ia32cap": "0:0"}


def instructions(program, name):
    """Of one run, whole."""
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "out"
        subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no", "--toggle-collect=measured",
                        program, name, str(ITERATIONS)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env={**os.environ, **ENVIRONMENT})
        return round(int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M).group(1)) / ITERATIONS)


def main():
    program = sys.argv[1]
    names = subprocess.run([program, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counted = dict(zip(names, pool.map(lambda name: instructions(program, name), names)))
    if "--update" in sys.argv:
        FILE.write_text(json.dumps(counted, indent=1) + "\n")
    expected = json.loads(FILE.read_text())
    bad = sorted(set(expected) ^ set(counted))
    print("counted  on record")
    for name, count in counted.items():
        ratio = count / expected.get(name, count)
        verdict = "TOO MANY" if ratio > 1 + TOLERANCE else "fewer: --update" if ratio < 1 - TOLERANCE else ""
        bad += [name] if verdict == "TOO MANY" else []
        print(f"{count:7} {expected.get(name, '-'):>8} {ratio:6.3f}  {name}  {verdict}".rstrip())
    print(f"{len(set(counted) - set(bad))} passed, {len(bad)} failed" + (f": {', '.join(bad)}" if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
