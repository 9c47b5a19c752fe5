(* §4 at one point: y ↦ a log y + b log(1 − y), with log 0 = −∞ and 0 · log 0 = 0.

   The library's ln is total, ln 0 = 0; `log` is the logarithm of the paper. *)

From Coq Require Import Reals Lra.
From Coquelicot Require Export Rbar.
Open Scope R_scope.

Definition log (y : R) : Rbar := if Rlt_dec 0 y then Finite (ln y) else m_infty.

(* Rbar_mult is the product of extended numbers with 0 · (±∞) = 0. *)
Definition payoff (a b y : R) : Rbar :=
  Rbar_plus (Rbar_mult a (log y)) (Rbar_mult b (log (1 - y))).

Lemma ln_div (x y : R) : 0 < x -> 0 < y -> ln (x / y) = ln x - ln y.
Proof. intros Hx Hy. unfold Rdiv. rewrite ln_mult, ln_Rinv; try lra. now apply Rinv_0_lt_compat. Qed.

(* The one inequality of calculus that all of §4 but Pinsker's needs. *)
Lemma ln_below (x : R) : 0 < x -> ln x <= x - 1 /\ (ln x = x - 1 -> x = 1).
Proof.
  intros Hx. destruct (Req_dec (ln x) 0) as [H0 | H0].
  - assert (x = 1) by (rewrite <- (exp_ln x Hx), H0; apply exp_0). subst. rewrite ln_1. lra.
  - pose proof (exp_ineq1 (ln x) H0) as H. rewrite exp_ln in H by exact Hx. lra.
Qed.

(* Gibbs' inequality at one point. *)
Lemma gibbs (a c y : R) : 0 <= a -> 0 < c -> 0 <= y -> (a = 0 \/ 0 < y) ->
  a * ln y <= a * ln (a / c) + (c * y - a) /\
  (a * ln y = a * ln (a / c) + (c * y - a) -> y = a / c).
Proof.
  intros Ha Hc Hy [-> | Hy'].
  - split; [nra |]. intros E. assert (y = 0) by nra. subst. field; lra.
  - destruct Ha as [Ha | <-].
    + assert (Hac : 0 < a / c) by (apply Rdiv_lt_0_compat; lra).
      assert (Hz : 0 < y / (a / c)) by (apply Rdiv_lt_0_compat; lra). destruct (ln_below _ Hz) as [L E].
      assert (D : ln (y / (a / c)) = ln y - ln (a / c)) by (apply ln_div; lra).
      assert (M : a * (y / (a / c)) = c * y) by (field; lra). split; [nra |]. intros Q.
      assert (y / (a / c) = 1) by (apply E; rewrite D; apply (Rmult_eq_reg_l a); lra).
      replace y with (y / (a / c) * (a / c)) by (field; lra). nra.
    + split; [nra |]. intros E. assert (y = 0) by nra. subst. field; lra.
Qed.

Lemma log_pos (y : R) : 0 < y -> log y = ln y.
Proof. unfold log. now destruct (Rlt_dec 0 y). Qed.
Lemma log_zero (y : R) : y <= 0 -> log y = m_infty.
Proof. unfold log. destruct (Rlt_dec 0 y); [lra | reflexivity]. Qed.
Lemma weighted_finite (a : R) (l : Rbar) (r : R) : a = 0 \/ l = r -> Rbar_mult a l = a * r.
Proof. intros [-> | ->]; [rewrite Rbar_mult_0_l; f_equal; ring | reflexivity]. Qed.

Lemma weighted_infinite (a : R) : 0 < a -> Rbar_mult a m_infty = m_infty.
Proof.
  intros H. unfold Rbar_mult, Rbar_mult'.
  destruct (Rle_dec 0 a) as [H' | H']; [destruct (Rle_lt_or_eq_dec 0 a H') |]; trivial; lra.
Qed.

Lemma payoff_finite (a b y : R) : (a = 0 \/ 0 < y) -> (b = 0 \/ y < 1) ->
  payoff a b y = a * ln y + b * ln (1 - y).
Proof.
  intros Ha Hb. unfold payoff.
  rewrite (weighted_finite a _ (ln y)), (weighted_finite b _ (ln (1 - y))); [reflexivity | |].
  - destruct Hb; [now left | right; apply log_pos; lra].
  - destruct Ha; [now left | right; apply log_pos; lra].
Qed.

(* A D that is sure and wrong: 0 where there is data, or 1 where there are samples. *)
Lemma payoff_infinite (a b y : R) : 0 <= a -> 0 <= b -> 0 <= y <= 1 ->
  0 < a /\ y = 0 \/ 0 < b /\ y = 1 -> payoff a b y = m_infty.
Proof.
  intros Ha Hb Hy [[H ->] | [H ->]]; unfold payoff.
  - rewrite (log_zero 0), weighted_infinite, Rminus_0_r, (log_pos 1) by lra. reflexivity.
  - rewrite (log_zero (1 - 1)), weighted_infinite, (log_pos 1) by lra. reflexivity.
Qed.

(* Of Proposition 1's proof: "for a, b ≥ 0, not both 0, y ↦ a log y + b log(1 − y) has its maximum
   on [0, 1] at a/(a + b)" (the paper's a, b are any reals but (0, 0), which is too much). *)
Theorem pointwise (a b y : R) : 0 <= a -> 0 <= b -> 0 < a + b -> 0 <= y <= 1 ->
  Rbar_le (payoff a b y) (payoff a b (a / (a + b))) /\
  (payoff a b y = payoff a b (a / (a + b)) -> y = a / (a + b)).
Proof.
  intros Ha Hb Hab Hy. assert (S : 1 - a / (a + b) = b / (a + b)) by (field; lra).
  assert (Sa : a = 0 \/ 0 < a / (a + b)).
  { destruct Ha; [right; apply Rdiv_lt_0_compat; lra | now left]. }
  assert (Sb : b = 0 \/ a / (a + b) < 1).
  { destruct Hb as [Hb | <-]; [right | now left].
    assert (0 < b / (a + b)) by (apply Rdiv_lt_0_compat; lra). lra. }
  rewrite (payoff_finite a b (a / (a + b))), S by assumption.
  assert (Cases : (a = 0 \/ 0 < y) /\ (b = 0 \/ y < 1) \/ (0 < a /\ y = 0 \/ 0 < b /\ y = 1)) by lra.
  destruct Cases as [[Ya Yb] | Wrong].
  - rewrite payoff_finite by assumption. destruct (gibbs a (a + b) y) as [La Ea]; [lra .. |].
    destruct (gibbs b (a + b) (1 - y)) as [Lb _]; [lra .. |].
    split; [simpl; nra |]. intros E. injection E as E. apply Ea. lra.
  - rewrite payoff_infinite by assumption. split; [exact I | discriminate].
Qed.
