(* What the theorems would be without one of their words, and that they are then false.
   Each statement is refuted on a space of two points. *)

From Coq Require Import Reals Lra List.
From Coquelicot Require Import Rcomplements.
From GAN Require Import Convergence.
Import ListNotations.
Open Scope R_scope.

#[export] Instance two_points : Finite_space bool.
Proof.
  refine {| points := [true; false] |}.
  - repeat constructor; simpl; intuition discriminate.
  - intros []; simpl; tauto.
  - decide equality.
Defined.

(* (u, 1 − u) *)
Definition two (u : R) (x : bool) : R := if x then u else 1 - u.

Lemma two_distribution (u : R) : 0 <= u <= 1 -> distribution (two u).
Proof. intros Hu. split; [intros []; simpl; lra | unfold Sum; simpl; lra]. Qed.

(* Point by point, with a logarithm for which log 0 = 0 *)
Theorem not_with_total_ln : ~ forall a b y : R, 0 <= a -> 0 <= b -> 0 < a + b -> 0 <= y <= 1 ->
  a * ln y + b * ln (1 - y) <= a * ln (a / (a + b)) + b * ln (b / (a + b)).
Proof.
  intros K. specialize (K 1 1 0 ltac:(lra) ltac:(lra) ltac:(lra) ltac:(lra)).
  replace (1 / (1 + 1)) with (/ 2) in K by field. rewrite Rminus_0_r, ln_1, ln_Rinv in K by lra.
  assert (ln 0 = 0) by (unfold ln; destruct (Rlt_dec 0 0); [exfalso; lra | reflexivity]). destruct ln_2_4. lra.
Qed.

(* Point by point, as the paper has it: for any reals a, b but (0, 0) *)
Theorem not_for_all_reals : ~ forall a b y : R, (a, b) <> (0, 0) -> 0 <= y <= 1 ->
  Rbar_le (payoff a b y) (payoff a b (a / (a + b))).
Proof.
  intros K. specialize (K (-1) (-1) 0). replace (-1 / (-1 + -1)) with (/ 2) in K by field.
  unfold payoff in K. rewrite (log_zero 0), !log_pos in K by lra. unfold Rbar_mult at 1, Rbar_mult' in K.
  destruct (Rle_dec 0 (-1)); [lra |]. simpl in K. apply K; [intros [=]; lra | lra].
Qed.

(* Theorem 1 with > for ≥ *)
Theorem not_strictly : ~ forall pd pg : bool -> R, distribution pd -> distribution pg -> - ln 4 < C pd pg.
Proof.
  intros K. assert (U := two_distribution 1 ltac:(lra)). specialize (K _ _ U U).
  destruct (theorem_1 _ _ U U) as (_ & [_ Q] & _). rewrite Q in K by easy. lra.
Qed.

(* Eq. (6) with JSD for 2 · JSD *)
Theorem not_once_jsd : ~ forall pd pg : bool -> R, distribution pd -> distribution pg ->
  Finite (C pd pg) = Rbar_plus (- ln 4) (JSD pd pg).
Proof.
  intros K. assert (U := two_distribution 1 ltac:(lra)). assert (W := two_distribution 0 ltac:(lra)).
  specialize (K _ _ U W). pose proof (eq_6 _ _ U W) as E.
  destruct (perfect_discriminator _ _ U W) as [_ [_ Q]]. rewrite Q in K, E by (intros []; simpl; lra). clear Q.
  destruct (JSD (two 1) (two 0)) as [j | |]; simpl in K; try easy.
  injection K as K. injection E as E. destruct ln_2_4. lra.
Qed.

(* Proposition 2 without p_data ≪ p_0: (1, 0) is a fixed point. *)
Theorem not_without_domination : ~ forall (pd p_0 : bool -> R) (rate : R), distribution pd -> distribution p_0 ->
  0 < rate <= 1 -> forall x, Un_cv (fun t => path rate pd p_0 t x) (pd x).
Proof.
  intros K. specialize (K (two (1 / 2)) (two 1) 1).
  destruct (K ltac:(apply two_distribution; lra) ltac:(apply two_distribution; lra) ltac:(lra) false (1 / 4))
    as [n N]; [lra |].
  specialize (N n (le_n n)). assert (Z : path 1 (two (1 / 2)) (two 1) n false = 0).
  { clear. induction n as [| n IH]; [simpl; lra |]. simpl. unfold step at 1, weight at 1. rewrite IH.
    unfold Rdiv. ring. }
  rewrite Z in N. unfold R_dist in N. simpl in N. rewrite Rabs_left in N; lra.
Qed.

(* Beyond rate 1 there is, however little beyond, a start from which C rises at once: p_data = (1/10, 9/10),
   p_0 = (ε, 1 − ε). *)
Theorem beyond_rate_1 (rate : R) : 1 < rate -> exists pd p_0 : bool -> R, distribution pd /\
  distribution p_0 /\ dominated pd p_0 /\ C pd p_0 < C pd (step rate pd p_0).
Proof.
  intros Hr. set (r := exp (- (rate / (rate - 1)) * ln 20)).
  assert (L20 : 0 < ln 20) by (rewrite <- ln_1; apply ln_increasing; lra). assert (R0 : 0 < r) by apply exp_pos.
  assert (R1 : r < / 20).
  { rewrite <- (exp_ln (/ 20)), ln_Rinv by lra. apply exp_increasing.
    assert (1 < rate / (rate - 1)) by (apply (Rmult_lt_reg_r (rate - 1)); [lra | field_simplify; lra]). nra. }
  set (e := r / (1 + r)). assert (E1 : 1 - e = 1 / (1 + r)) by (unfold e; field; lra).
  assert (E0 : 0 < e) by (apply Rdiv_lt_0_compat; lra). assert (Er : e = r * (1 - e)) by (unfold e; field; lra).
  assert (E2 : e < / 20) by nra. set (pd := two (/ 10)). set (p := two e). exists pd, p.
  assert (Hd : distribution pd) by (apply two_distribution; lra).
  assert (Hp : distribution p) by (apply two_distribution; lra).
  assert (dom : dominated pd p) by (intros []; simpl; lra).
  repeat split; try apply Hd; try apply Hp; try exact dom.
  set (q := step rate pd p). assert (Hq : distribution q) by now apply step_distribution.
  assert (Half : 1 / 2 <= q true).
  { assert (W : forall x, 0 < weight rate pd p x /\
      ln (weight rate pd p x) = (1 - rate) * ln (p x) + rate * ln (pd x + p x)).
    { intros x. assert (P : 0 < p x) by (destruct x; simpl; lra).
      assert (0 < pd x) by (destruct x; simpl; lra). unfold weight, Rpower. split.
      - apply Rmult_lt_0_compat; [easy | apply exp_pos].
      - rewrite ln_mult, ln_exp by (easy || apply exp_pos). destruct (on pd p Hd x P) as (_ & _ & ->). ring. }
    destruct (W true) as [W1 L1], (W false) as [W2 L2].
    assert (Le : weight rate pd p false <= weight rate pd p true).
    { apply Rnot_lt_le. intros N. apply ln_increasing in N; [| easy]. rewrite L1, L2 in N. simpl in N.
      assert (Q : ln e = - (rate / (rate - 1)) * ln 20 + ln (1 - e)).
      { rewrite Er at 1. rewrite ln_mult by lra. unfold r. now rewrite ln_exp. }
      assert (Q' : (1 - rate) * ln e - (1 - rate) * ln (1 - e) = rate * ln 20) by (rewrite Q; field; lra).
      assert (A : ln (/ 10) <= ln (/ 10 + e)) by (apply ln_le; lra).
      assert (B : ln (1 - / 10 + (1 - e)) <= ln 2) by (apply ln_le; lra).
      assert (T : ln 20 = ln 10 + ln 2) by (rewrite <- ln_mult by lra; f_equal; ring).
      rewrite ln_Rinv in A by lra. nra. }
    unfold q, step, Sum. simpl. apply (Rmult_le_reg_r (weight rate pd p true + weight rate pd p false)); [lra |].
    field_simplify; lra. }
  assert (Tp : TV pd p < / 10).
  { unfold TV, Sum. simpl. rewrite (Rabs_pos_eq (/ 10 - e)), (Rabs_left1 (1 - / 10 - (1 - e))); lra. }
  assert (Tq : 2 / 5 <= TV pd q).
  { destruct Hq as [_ S]. unfold Sum in S. simpl in S. unfold TV, Sum. simpl.
    rewrite (Rabs_left1 (/ 10 - q true)), (Rabs_pos_eq (1 - / 10 - q false)); lra. }
  assert (L4 : ln 4 <= 16 / 10).
  { destruct ln_2_4 as [-> _]. assert (L : ln 2 <= ln ((6 / 5) ^ 4)) by (apply ln_le; lra).
    rewrite ln_pow in L by lra. destruct (ln_below (6 / 5)); simpl in L; lra. }
  pose proof (tv_above pd p Hd Hp). pose proof (tv_below pd q Hd Hq). destruct ln_2_4 as [L2 L2'].
  assert (TV pd p * ln 4 < / 10 * ln 4) by (apply Rmult_lt_compat_r; lra).
  assert (4 / 25 <= TV pd q ^ 2) by nra. lra.
Qed.
