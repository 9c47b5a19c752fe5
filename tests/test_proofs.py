"""proofs/: accepted by Coq without a gap, on axioms that the page names, of what gan.theory computes."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

import proofs
from gan import theory

ROOT = Path(__file__).resolve().parents[1]
PROOFS = ROOT / "proofs"
FILES = re.findall(r"^(\w+)\.v$", (PROOFS / "_CoqProject").read_text(), re.M)
FINITE = FILES[: FILES.index("Densities")]

# What the theorems rest on: the real numbers and the logic of Coq's library, the logic of mathcomp-analysis.
EXTENSIONALITY = "functional_extensionality_dep"
ON_REALS = {"sig_forall_dec", "sig_not_dec", EXTENSIONALITY, "classic"}
ON_MATHCOMP = {"propositional_extensionality", EXTENSIONALITY, "constructive_indefinite_description"}
GAPS = r"\b(Admitted|admit|give_up|Axioms?|Parameters?|Conjecture|Abort|bypass_check|Unset \w+ Checking)\b"


def source(name: str) -> str:
    """A file of proofs/ without its comments."""
    return re.sub(r"\(\*.*?\*\)", "", (PROOFS / f"{name}.v").read_text("utf-8"), flags=re.S)


def theorems(name: str) -> list[str]:
    return re.findall(r"^Theorem (\w+)", source(name), re.M)


def gaps(text: str) -> list[str]:
    """Words by which something would be taken for granted; a section's hypotheses are not."""
    outside = re.sub(r"^Section (\w+)\..*?^End \1\.", "", text, flags=re.M | re.S)
    return re.findall(GAPS, text) + re.findall(r"^(?:Hypothes[ie]s|Variables?|Context)\b", outside, re.M)


def need(*packages: str) -> None:
    """Skip without the Coq that the proofs are written for, or one of its packages; where CI=true, fail."""
    missing = ["Coq 8.16", *packages]
    if coqc := shutil.which("coqc"):
        version, where = (subprocess.check_output([coqc, how], text=True) for how in ("--version", "-where"))
        missing = [] if "version 8.16" in version else ["Coq 8.16"]
        missing += [name for name in packages if not Path(where.strip(), "user-contrib", name).is_dir()]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"{missing[0]} is needed, and not found")
    if missing:
        pytest.skip(f"{missing[0]} not found")


def run(*command: str | Path, cwd: Path) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, cwd=cwd, env=inherited, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A copy of proofs/ in which `make proofs` has compiled everything."""
    need("Coquelicot", "mathcomp/analysis")
    root = tmp_path_factory.mktemp("proofs")
    (root / "proofs").mkdir()
    shutil.copy(ROOT / "Makefile", root)
    for file in ("_CoqProject", *(f"{name}.v" for name in FILES)):
        shutil.copy(PROOFS / file, root / "proofs")
    run("make", "proofs", cwd=root)
    return root / "proofs"


def ask(folder: Path, text: str) -> str:
    """What Coq says to a file that is given to it beside the compiled ones."""
    (folder / "Question.v").write_text(text, "utf-8")
    return run("coqc", "-w", "none", "-Q", ".", "GAN", "Question.v", cwd=folder)


# The sources


def test_every_file_is_compiled_and_they_fit_what_a_reader_holds():
    assert sorted(FILES) == sorted(path.stem for path in PROOFS.glob("*.v"))
    assert sum(len((PROOFS / f"{name}.v").read_text("utf-8").splitlines()) for name in FILES) <= 1500


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_taken_for_granted(name):
    assert not gaps(source(name))


@pytest.mark.parametrize(
    "text",
    [
        "Lemma x : False. Proof. Admitted.",
        "Proof. admit. Qed.",
        "Axiom x : False.",
        "Hypothesis x : False.\n",
        "Section A.\nEnd A.\nVariable x : nat.\n",
        "Unset Guard Checking.",
    ],
)
def test_a_gap_would_be_seen(text):
    assert gaps(text)
    assert not gaps("Section A.\nHypotheses (a : x).\nContext {X : Type}.\nEnd A.\nTheorem a : b.\n")


# The page


def test_the_page_shows_every_theorem_and_names_every_axiom():
    page = (ROOT / "book/proofs.md").read_text("utf-8")
    shown = {
        (file, name)
        for file, names in re.findall(r"^```\{coq\} (\w+) (.*)$", page, re.M)
        for name in names.split()
    }
    assert {(file, name) for file in FILES for name in theorems(file)} <= shown
    assert all(f"`{axiom}`" in page for axiom in ON_REALS | ON_MATHCOMP)


@pytest.mark.parametrize("name", FILES)
def test_a_statement_is_shown_as_it_stands(name):
    text = (PROOFS / f"{name}.v").read_text("utf-8")
    found = proofs.statements(text)
    assert {*theorems(name)} <= {*found}
    for statement in found.values():
        assert statement in text and "Proof." not in statement
        lines = proofs.shown(statement).splitlines()
        assert " ".join(lines).split() == statement.split() and max(map(len, lines)) <= proofs.WIDTH


# What Coq says of them


@pytest.mark.slow
@pytest.mark.parametrize(("files", "axioms"), [(FINITE, ON_REALS), (["Densities"], ON_MATHCOMP)])
def test_the_theorems_rest_on_the_named_axioms_alone(compiled, files, axioms):
    names = [f"@{file}.{name}" for file in files for name in theorems(file)]
    together = f"Definition together := ({', '.join(names)}).\nPrint Assumptions together.\n"
    said = ask(compiled, f"From GAN Require {' '.join(files)}.\n{together}")
    assert said.startswith("Axioms:\n")
    assert {name.split(".")[-1] for name in re.findall(r"^([\w.]+)", said, re.M)} == axioms | {"Axioms"}


@pytest.mark.slow
def test_no_statement_takes_an_infinity_for_a_number(compiled):
    """Coquelicot turns an extended number into a number wherever one is asked for, and an infinity into 0."""
    names = [f"@{file}.{name}" for file in FINITE for name in theorems(file)]
    text = f"From GAN Require {' '.join(FINITE)}.\nSet Printing Coercions.\n"
    said = ask(compiled, text + "".join(f"Check {name}.\n" for name in names))
    assert said.count("\n     : ") == len(names) and "Finite" in said
    assert not re.search(r"\breal\b", said)


@pytest.mark.soak
def test_the_independent_checker_accepts_them_too(compiled):
    only = [word for name in FILES for word in ("-norec", f"GAN.{name}")]
    run("coqchk", "-silent", *only, "-Q", ".", "GAN", cwd=compiled)


# Its definitions are those of gan.theory: on small distributions both give the same numbers

SPACE = """
From Coq Require Import Reals Lra List. From Interval Require Import Tactic.
From GAN Require Import Convergence.
Import ListNotations.
Open Scope R_scope.
Inductive three := x0 | x1 | x2.
#[export] Instance space : Finite_space three.
Proof.
  refine {| points := [x0; x1; x2] |}; [| now intros []; simpl; auto | decide equality].
  repeat constructor; simpl; intuition discriminate.
Defined.
Ltac number := unfold JSD, TV, C, path, step, weight, Rpower, D_star, Sum, mean; cbn; rewrite ?Rmult_0_l;
  interval with (i_prec 160).
Ltac finite := rewrite ?V_finite, ?KL_finite by (intros []; unfold mean; cbn; lra).
Ltac infinite := unfold V, KL, E, ESum, log_ratio, log; cbn -[Rbar_mult Rbar_plus];
  repeat match goal with |- context [Rlt_dec ?a ?b] => destruct (Rlt_dec a b); try (exfalso; lra) end;
  rewrite ?Rbar_mult_0_l; unfold Rbar_mult, Rbar_mult';
  repeat match goal with
  | |- context [Rle_dec ?a ?b] => destruct (Rle_dec a b); try (exfalso; lra)
  | |- context [Rle_lt_or_eq_dec ?a ?b ?c] => destruct (Rle_lt_or_eq_dec a b c); try (exfalso; lra)
  end; reflexivity.
"""

NEAR = "finite. eexists. split; [reflexivity | number]."

# p_data, p_g, D
CASES = [
    ("1/2 1/3 1/6", "1/6 1/3 1/2", "1/4 1/2 1/3"),
    ("1/5 3/10 1/2", "1/5 3/10 1/2", "1/2 1/2 1/2"),
    ("1/2 1/2 0", "1/3 1/4 5/12", "1/3 1/5 0"),
    ("1/2 1/2 0", "0 1/4 3/4", "1 1/3 0"),
    ("0 0 1", "1/3 2/3 0", "0 0 1"),
    ("1 0 0", "1/10 9/10 0", "0 1/2 1/7"),
    ("1/4 1/4 1/2", "1/3 1/3 1/3", "1/2 1 1/2"),
    ("9/10 1/20 1/20", "1/100000000000 1/2 49999999999/100000000000", "3/4 1/4 1/4"),
]


def fractions(words: str) -> list[Fraction]:
    return [Fraction(word) for word in words.split()]


def real(number: Fraction | float) -> str:
    """A number as Coq writes it; a double is a fraction."""
    n, d = Fraction(number).as_integer_ratio()
    return f"({n})" if d == 1 else f"({n} / {d})"


def function(name: str, values: list[Fraction]) -> str:
    cases = " | ".join(f"x{i} => {real(value)}" for i, value in enumerate(values))
    return f"Definition {name} (x : three) : R := match x with {cases} end.\n"


def near(term: str, value: float) -> str:
    return f"Goal Rabs ({term} - {real(value)}) <= {real(Fraction(1, 10**12))}. Proof. number. Qed.\n"


def extended(term: str, value: float) -> str:
    """That an extended number is what gan.theory computes."""
    if math.isinf(value):
        return f"Goal {term} = {'p' if value > 0 else 'm'}_infty. Proof. infinite. Qed.\n"
    bound = f"Rabs (r - {real(value)}) <= {real(Fraction(1, 10**12))}"
    return f"Goal exists r : R, {term} = r /\\ {bound}.\nProof. {NEAR} Qed.\n"


def agrees(i: int, p_data: str, p_g: str, d: str) -> str:
    """That each quantity of §4 is what gan.theory computes for the three distributions."""
    given = [fractions(words) for words in (p_data, p_g, d)]
    a, b, y = ([float(value) for value in values] for values in given)
    pd, pg, dd = f"pd{i}", f"pg{i}", f"d{i}"
    text = "".join(map(function, (pd, pg, dd), given))
    for x, value in enumerate(theory.optimal_discriminator(a, b)):
        text += "" if math.isnan(value) else near(f"D_star {pd} {pg} x{x}", value)
    text += extended(f"V {pd} {pg} {dd}", theory.value(a, b, y))
    text += near(f"C {pd} {pg}", theory.virtual_criterion(a, b))
    text += extended(f"KL {pd} {pg}", theory.kl(a, b)) + extended(f"KL {pg} {pd}", theory.kl(b, a))
    jsd = f"Rabs (j - {real(theory.jensen_shannon(a, b))}) <= {real(Fraction(1, 10**12))}"
    text += f"Goal exists j : R, JSD {pd} {pg} = j /\\ {jsd}.\n"
    text += f"Proof. unfold JSD. {NEAR} Qed.\n"
    text += near(f"TV {pd} {pg}", theory.total_variation(a, b))
    if all(q > 0 for q in b):
        for rate in (Fraction(1, 3), Fraction(2)):
            last = theory.descend(a, b, 2, float(rate))[-1]
            text += near(f"path {real(rate)} {pd} {pg} 2 x0", last[0])
    return text


@pytest.mark.soak
@pytest.mark.slow
def test_its_definitions_are_gan_theorys(compiled):
    need("Interval")
    ask(compiled, SPACE + "".join(agrees(i, *case) for i, case in enumerate(CASES)))
