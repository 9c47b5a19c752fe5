(* §4.1, Global optimality of p_g = p_data, on a finite space: Eqs. (3) to (6), Proposition 1, Theorem 1. *)

From Coq Require Import Reals Lra List.
From Coquelicot Require Import Coquelicot.
From GAN Require Export Finite.
Open Scope R_scope.

Section Theorems.
Context {X : Type} `{Finite_space X}.

Lemma log_below (y : R) : log y <> p_infty.
Proof. unfold log. now destruct (Rlt_dec 0 y). Qed.

(* Eq. (3): V(G, D) = ∫ p_data(x) log D(x) + p_g(x) log(1 − D(x)) dx, first by p_g for p_z, … *)
Theorem eq_3_pushforward {Z} `{Finite_space Z} (pd : X -> R) (pz : Z -> R) (G : Z -> X) (D : X -> R) :
  distribution pz -> game pd pz G D = V pd (pushforward pz G) D.
Proof.
  intros [Hz _]. unfold game, V. f_equal.
  apply (E_pushforward pz G (fun x => log (1 - D x)) Hz). intros x. apply log_below.
Qed.

(* … then under one sum. *)
Theorem eq_3 (pd pg D : X -> R) : distribution pd -> distribution pg ->
  V pd pg D = ESum (fun x => payoff (pd x) (pg x) (D x)).
Proof.
  intros [Hd _] [Hg _]. unfold V, E, payoff. symmetry.
  apply ESum_plus; intros x; apply weighted_below; auto using log_below.
Qed.

Lemma V_finite (pd pg D : X -> R) : (forall x, pd x = 0 \/ 0 < D x) -> (forall x, pg x = 0 \/ D x < 1) ->
  V pd pg D = Sum (fun x => pd x * ln (D x) + pg x * ln (1 - D x)).
Proof.
  intros Hd Hg. unfold V.
  rewrite (E_finite pd _ (fun x => ln (D x))), (E_finite pg _ (fun x => ln (1 - D x))), Sum_plus.
  - reflexivity.
  - intros x. destruct (Hg x); [now left | right]. apply log_pos. lra.
  - intros x. destruct (Hd x); [now left | right]. now apply log_pos.
Qed.

Lemma sum_0 (a b : R) : 0 <= a -> 0 <= b -> a = 0 /\ b = 0 \/ 0 < a + b.
Proof. lra. Qed.

Lemma D_star_sides (a b : R) : 0 <= a -> 0 <= b -> 0 < a + b ->
  1 - a / (a + b) = b / (a + b) /\ (a = 0 \/ 0 < a / (a + b)) /\ (b = 0 \/ 0 < b / (a + b)).
Proof.
  intros Ha Hb Hs. split; [field; lra |].
  split; [destruct Ha | destruct Hb]; try (now left); right; apply Rdiv_lt_0_compat; lra.
Qed.

Lemma payoff_star (a b : R) : 0 <= a -> 0 <= b ->
  payoff a b (a / (a + b)) = a * ln (a / (a + b)) + b * ln (b / (a + b)).
Proof.
  intros Ha Hb. destruct (sum_0 a b Ha Hb) as [[-> ->] | S].
  - rewrite payoff_finite by now left. f_equal. ring.
  - destruct (D_star_sides a b Ha Hb S) as (Q & Da & Db). rewrite payoff_finite, Q; [easy | easy | lra].
Qed.

Lemma V_D_star (pd pg : X -> R) : distribution pd -> distribution pg -> V pd pg (D_star pd pg) = C pd pg.
Proof.
  intros Hd Hg. rewrite eq_3 by easy. unfold C. rewrite <- Sum_plus. apply ESum_finite. intros x.
  now apply payoff_star; [apply Hd | apply Hg].
Qed.

(* Proposition 1. For G fixed, the optimal discriminator D is D*_G of Eq. (2), and no other where there is
   mass; "the discriminator does not need to be defined outside of Supp(p_data) ∪ Supp(p_g)". *)
Theorem proposition_1 (pd pg D : X -> R) : distribution pd -> distribution pg -> discriminator D ->
  Rbar_le (V pd pg D) (V pd pg (D_star pd pg)) /\
  (V pd pg D = V pd pg (D_star pd pg) <-> forall x, 0 < pd x + pg x -> D x = D_star pd pg x).
Proof.
  intros Hd Hg HD.
  assert (L : forall x, Rbar_le (payoff (pd x) (pg x) (D x)) (payoff (pd x) (pg x) (D_star pd pg x)) /\
    (payoff (pd x) (pg x) (D x) = payoff (pd x) (pg x) (D_star pd pg x) <->
    (0 < pd x + pg x -> D x = D_star pd pg x))).
  { intros x. destruct Hd as [Hd _], Hg as [Hg _]. specialize (Hd x). specialize (Hg x). specialize (HD x).
    destruct (sum_0 _ _ Hd Hg) as [[-> ->] | S].
    - rewrite !payoff_finite by now left. split; [simpl; lra | split; [lra | intros; f_equal; ring]].
    - destruct (pointwise (pd x) (pg x) (D x)) as [Le Eq]; try easy.
      split; [exact Le | split; [intros Q _; now apply Eq | intros Q; now rewrite Q]]. }
  rewrite V_D_star, eq_3 by easy. destruct (ESum_le (fun x => payoff (pd x) (pg x) (D x))
    (fun x => pd x * ln (pd x / (pd x + pg x)) + pg x * ln (pg x / (pd x + pg x)))) as [Le Eq].
  { intros x. rewrite <- payoff_star; [apply L | apply Hd | apply Hg]. }
  unfold C. rewrite <- Sum_plus. split; [exact Le | split; intros K].
  - intros x S. apply L; [| exact S]. rewrite (Eq K x). symmetry. now apply payoff_star; [apply Hd | apply Hg].
  - apply ESum_finite. intros x. rewrite <- payoff_star; [| apply Hd | apply Hg]. now apply L, K.
Qed.

(* Eq. (4): C(G), by its formula, is V(G, D*_G), and so max_D V(G, D). *)
Theorem eq_4 (pd pg : X -> R) : distribution pd -> distribution pg ->
  discriminator (D_star pd pg) /\ V pd pg (D_star pd pg) = C pd pg /\
  forall D, discriminator D -> Rbar_le (V pd pg D) (C pd pg).
Proof.
  intros Hd Hg. pose proof (V_D_star pd pg Hd Hg) as Q. split; [| split; [exact Q |]].
  - intros x. destruct Hd as [Hd _], Hg as [Hg _]. specialize (Hd x). specialize (Hg x). unfold D_star.
    destruct (sum_0 _ _ Hd Hg) as [[-> ->] | S]; [unfold Rdiv; lra |].
    destruct (D_star_sides _ _ Hd Hg S) as (K & Da & Db). split; [apply Rdiv_le_0_compat; lra |].
    enough (0 <= pg x / (pd x + pg x)) by lra. apply Rdiv_le_0_compat; lra.
  - intros D HD. rewrite <- Q. now apply proposition_1.
Qed.

Lemma ln_2_4 : ln 4 = 2 * ln 2 /\ 1 / 2 <= ln 2.
Proof.
  split.
  - replace 4 with (2 * 2) by ring. rewrite ln_mult; lra.
  - destruct (ln_below (/ 2)) as [L _]; [lra |]. rewrite ln_Rinv in L; lra.
Qed.

Lemma KL_finite (p q : X -> R) : (forall x, 0 <= p x) -> (forall x, p x = 0 \/ 0 < q x) ->
  KL p q = Sum (fun x => p x * ln (p x / q x)).
Proof.
  intros Hp Hq. apply E_finite. intros x. specialize (Hp x). specialize (Hq x).
  destruct (Req_dec (p x) 0); [now left | right]. unfold log_ratio.
  destruct (Rlt_dec 0 (q x)); [| lra]. apply log_pos. apply Rdiv_lt_0_compat; lra.
Qed.

Lemma KL_mean (p q m : X -> R) : distribution p -> distribution q -> (forall x, m x = (p x + q x) / 2) ->
  KL p m = Sum (fun x => p x * ln (p x / (p x + q x))) + ln 2.
Proof.
  intros [Hp Sp] [Hq _] Hm. rewrite KL_finite; [| easy |].
  - f_equal. rewrite <- (Rmult_1_r (ln 2)), <- Sp, <- Sum_scal, <- Sum_plus. apply Sum_ext. intros x.
    rewrite Hm. specialize (Hp x). specialize (Hq x). destruct Hp as [Hp | <-]; [| ring].
    replace (p x / ((p x + q x) / 2)) with (p x / (p x + q x) * 2) by (field; lra).
    rewrite ln_mult; [ring | apply Rdiv_lt_0_compat | ]; lra.
  - intros x. specialize (Hp x). specialize (Hq x). rewrite Hm. lra.
Qed.

Lemma KL_means (pd pg : X -> R) : distribution pd -> distribution pg -> exists k l : R,
  KL pd (mean pd pg) = k /\ KL pg (mean pd pg) = l /\ C pd pg + ln 4 = k + l.
Proof.
  intros Hd Hg. do 2 eexists. split; [| split].
  - apply (KL_mean pd pg); auto.
  - apply (KL_mean pg pd); auto. intros x. unfold mean. lra.
  - unfold C. destruct ln_2_4 as [-> _]. rewrite (Sum_ext (fun x => pg x * ln (pg x / (pg x + pd x)))
      (fun x => pg x * ln (pg x / (pd x + pg x)))); [ring |].
    intros x. now rewrite Rplus_comm.
Qed.

(* Theorem 1. "The global minimum of the virtual training criterion C(G) is achieved if and only if
   p_g = p_data. At that point, C(G) achieves the value − log 4." *)
Theorem theorem_1 (pd pg : X -> R) : distribution pd -> distribution pg ->
  ((forall q, distribution q -> C pd pg <= C pd q) <-> forall x, pg x = pd x) /\
  (C pd pg = - ln 4 <-> forall x, pg x = pd x) /\ - ln 4 <= C pd pg.
Proof.
  intros Hd. assert (Half : forall q, distribution q -> V pd q (fun _ => 1 / 2) = - ln 4).
  { intros q [Hq Sq]. destruct Hd as [Hd' Sd]. rewrite V_finite; try (intros; right; lra). f_equal.
    destruct ln_2_4 as [-> _]. replace (1 - 1 / 2) with (1 / 2) by lra.
    replace (ln (1 / 2)) with (- ln 2) by (rewrite ln_div, ln_1; lra).
    rewrite (Sum_ext _ (fun x => - ln 2 * (pd x + q x))) by (intros; ring).
    rewrite Sum_scal, Sum_plus, Sd, Sq. ring. }
  assert (Flat : discriminator (fun _ : X => 1 / 2)) by (intros x; lra).
  assert (Below : forall q, distribution q -> - ln 4 <= C pd q).
  { intros q Hq. destruct (eq_4 pd q Hd Hq) as (_ & _ & L). specialize (L _ Flat). now rewrite Half in L. }
  assert (Only : forall q, distribution q -> (C pd q = - ln 4 <-> forall x, q x = pd x)).
  { intros q Hq. destruct (eq_4 pd q Hd Hq) as (_ & Q & _).
    destruct (proposition_1 pd q _ Hd Hq Flat) as [_ P]. rewrite Q, Half in P by easy.
    transitivity (Finite (- ln 4) = C pd q); [split; [intros -> | intros [= ->]]; easy |]. rewrite P.
    destruct Hd as [Hd' _], Hq as [Hq _]. unfold D_star.
    split; intros K x; specialize (K x); specialize (Hd' x); specialize (Hq x).
    - destruct (Req_dec (pd x + q x) 0); [lra |].
      apply (Rmult_eq_compat_r (pd x + q x)) in K; [| lra]. field_simplify in K; lra.
    - intros S. rewrite K. field. lra. }
  intros Hg. split; [split | split; [now apply Only | now apply Below]].
  - intros K. apply Only; [easy |]. apply Rle_antisym; [| now apply Below].
    replace (- ln 4) with (C pd pd); [now apply K | now apply Only].
  - intros K q Hq. apply Only in K; [| easy]. rewrite K. now apply Below.
Qed.

(* Eq. (5) *)
Theorem eq_5 (pd pg : X -> R) : distribution pd -> distribution pg ->
  Finite (C pd pg) = Rbar_plus (- ln 4) (Rbar_plus (KL pd (mean pd pg)) (KL pg (mean pd pg))).
Proof. intros Hd Hg. destruct (KL_means pd pg Hd Hg) as (k & l & -> & -> & Q). simpl. f_equal. lra. Qed.

(* Eq. (6) *)
Theorem eq_6 (pd pg : X -> R) : distribution pd -> distribution pg ->
  Finite (C pd pg) = Rbar_plus (- ln 4) (Rbar_mult 2 (JSD pd pg)).
Proof.
  intros Hd Hg. unfold JSD. destruct (KL_means pd pg Hd Hg) as (k & l & -> & -> & Q). simpl. f_equal. lra.
Qed.

(* "The Jensen–Shannon divergence between two distributions is always non-negative, and zero only when they
   are equal." *)
Theorem jsd_nonnegative (p q : X -> R) : distribution p -> distribution q ->
  Rbar_le 0 (JSD p q) /\ (JSD p q = 0 <-> forall x, q x = p x).
Proof.
  intros Hp Hq. destruct (theorem_1 p q Hp Hq) as (_ & <- & L). unfold JSD.
  destruct (KL_means p q Hp Hq) as (k & l & -> & -> & Q). simpl.
  split; [lra | split; [intros [= ?]; lra | intros; f_equal; lra]].
Qed.

(* At the other end: C(G) ≤ 0, with equality where D*_G is a perfect discriminator. *)
Theorem perfect_discriminator (pd pg : X -> R) : distribution pd -> distribution pg ->
  C pd pg <= 0 /\ (C pd pg = 0 <-> forall x, pd x = 0 \/ pg x = 0).
Proof.
  intros [Hd _] [Hg _]. assert (T : forall a b, 0 <= a -> 0 <= b ->
    a * ln (a / (a + b)) <= 0 /\ (a * ln (a / (a + b)) = 0 <-> a = 0 \/ b = 0)).
  { intros a b [Ha | <-] Hb; [| split; [lra | split; [now left | intros; ring]]].
    destruct (ln_below (a / (a + b))) as [L Q]; [apply Rdiv_lt_0_compat; lra |].
    assert (R : a / (a + b) - 1 = - (b / (a + b))) by (field; lra). destruct Hb as [Hb | <-].
    - assert (0 < b / (a + b)) by (apply Rdiv_lt_0_compat; lra). split; [nra |].
      split; [intros Z | lra]. exfalso. nra.
    - replace (a / (a + 0)) with 1 by (field; lra). rewrite ln_1. split; [lra |].
      split; [now right | intros; ring]. }
  unfold C. rewrite <- Sum_plus.
  set (term := fun x => _). assert (S : forall x, term x <= 0 /\ (term x = 0 <-> pd x = 0 \/ pg x = 0)).
  { intros x. unfold term. destruct (T (pd x) (pg x)) as [L1 E1]; auto.
    destruct (T (pg x) (pd x)) as [L2 E2]; auto. rewrite (Rplus_comm (pg x)) in L2, E2.
    split; [lra |]. rewrite <- E1. split; [lra |]. intros Z. enough (pg x * ln (pg x / (pd x + pg x)) = 0) by lra.
    apply E2. tauto. }
  assert (Z : Sum (fun x => 0 * pd x) = 0) by (rewrite Sum_scal; ring).
  destruct (Sum_le term (fun x => 0 * pd x)) as [L E]; [intros x; rewrite Rmult_0_l; apply S |].
  rewrite Z in L, E. split; [exact L | split; intros K].
  - intros x. apply S. rewrite (E K x). ring.
  - rewrite <- Z. apply Sum_ext. intros x. rewrite Rmult_0_l. now apply S.
Qed.

End Theorems.

(* −log 4 + TV² ≤ C(G) ≤ −log 4 + TV · log 4 *)

(* φ(t) = (1 + t) log(1 + t) + (1 − t) log(1 − t) ≥ t² *)
Lemma phi (t : R) : 0 <= t <= 1 -> t * t <= (1 + t) * ln (1 + t) + (1 - t) * ln (1 - t).
Proof.
  destruct ln_2_4 as [_ L2]. intros [[T0 | <-] [T1 | ->]].
  2, 4: replace (1 - 1) with 0 by ring; replace (1 + 1) with 2 by ring; lra.
  2: rewrite Rplus_0_r, Rminus_0_r, ln_1; lra.
  assert (Slope : forall s, 0 < s < 1 -> 0 <= ln (1 + s) - ln (1 - s) - 2 * s).
  { intros s Hs.
    destruct (MVT_cor2 (fun s => ln (1 + s) - ln (1 - s) - 2 * s) (fun s => 1 / (1 + s) + 1 / (1 - s) - 2) 0 s)
      as (c & Q & Hc); [lra | |].
    - intros c Hc. apply is_derive_Reals. auto_derive; [lra | field; lra].
    - rewrite Rplus_0_r, Rminus_0_r, ln_1 in Q.
      replace (1 / (1 + c) + 1 / (1 - c) - 2) with (2 * (c * c) / ((1 + c) * (1 - c))) in Q by (field; lra).
      assert (0 <= 2 * (c * c) / ((1 + c) * (1 - c))) by (apply Rdiv_le_0_compat; nra). nra. }
  destruct (MVT_cor2 (fun t => (1 + t) * ln (1 + t) + (1 - t) * ln (1 - t) - t * t)
    (fun t => ln (1 + t) - ln (1 - t) - 2 * t) 0 t) as (c & Q & Hc); [lra | |].
  - intros c Hc. apply is_derive_Reals. auto_derive; [lra |].
    try replace (1 + - c) with (1 - c) by ring. field. lra.
  - specialize (Slope c). rewrite Rplus_0_r, Rminus_0_r, ln_1 in Q. nra.
Qed.

Lemma point_bounds (a b : R) : 0 <= a -> 0 <= b -> 0 < a + b ->
  Rabs (a - b) * Rabs (a - b) / (2 * (a + b)) <=
    a * ln (a / (a + b)) + b * ln (b / (a + b)) + (a + b) * ln 2 <= Rabs (a - b) * ln 2.
Proof.
  assert (Ordered : forall a b, 0 <= b -> b <= a -> 0 < a + b -> (a - b) * (a - b) / (2 * (a + b)) <=
    a * ln (a / (a + b)) + b * ln (b / (a + b)) + (a + b) * ln 2 <= (a - b) * ln 2).
  { clear a b. intros a b Hb Hab Hs. set (t := (a - b) / (a + b)).
    assert (A : a / (a + b) = (1 + t) / 2) by (unfold t; field; lra).
    assert (B : b / (a + b) = (1 - t) / 2) by (unfold t; field; lra).
    assert (T : 0 <= t) by (apply Rdiv_le_0_compat; lra). assert (T1 : t = 1 - 2 * (b / (a + b))) by lra.
    assert (0 <= b / (a + b)) by (apply Rdiv_le_0_compat; lra).
    assert (A' : a = (a + b) * (1 + t) / 2) by (unfold t; field; lra).
    assert (B' : b = (a + b) * (1 - t) / 2) by (unfold t; field; lra).
    assert (La : ln (a / (a + b)) = ln (1 + t) - ln 2) by (rewrite A, ln_div; lra).
    assert (Lb : b * ln (b / (a + b)) = b * (ln (1 - t) - ln 2)).
    { destruct Hb as [Hb | <-]; [| ring]. rewrite B, ln_div; try lra.
      assert (0 < b / (a + b)) by (apply Rdiv_lt_0_compat; lra). lra. }
    split.
    - rewrite La, Lb.
      replace ((a - b) * (a - b) / (2 * (a + b))) with ((a + b) / 2 * (t * t)) by (unfold t; field; lra).
      pose proof (phi t). enough (a * (ln (1 + t) - ln 2) + b * (ln (1 - t) - ln 2) + (a + b) * ln 2 =
        (a + b) / 2 * ((1 + t) * ln (1 + t) + (1 - t) * ln (1 - t))) by nra.
      transitivity (a * ln (1 + t) + b * ln (1 - t)); [ring |]. rewrite A' at 1. rewrite B' at 2. field.
    - assert (Y : ln (a / (a + b)) <= 0).
      { destruct (ln_below (a / (a + b))); lra. }
      destruct Hb as [Hb | <-]; [| nra]. assert (Q : ln (a / (a + b)) + ln (b / (a + b)) <= - 2 * ln 2).
      { assert (0 < b / (a + b)) by (apply Rdiv_lt_0_compat; lra).
        rewrite <- ln_mult by lra. replace (-2 * ln 2) with (ln (/ 4)).
        - apply ln_le; [apply Rmult_lt_0_compat; lra |]. rewrite A, B. nra.
        - rewrite ln_Rinv by lra. destruct ln_2_4 as [-> _]. ring. }
      nra. }
  intros Ha Hb Hs. destruct (Rle_dec b a).
  - rewrite Rabs_pos_eq by lra. now apply Ordered.
  - rewrite Rabs_left by lra. replace (- (a - b)) with (b - a) by ring.
    specialize (Ordered b a). rewrite (Rplus_comm b a) in Ordered. lra.
Qed.

Section Bounds.
Context {X : Type} `{Finite_space X}.

Lemma C_as_points (pd pg : X -> R) : distribution pd -> distribution pg -> C pd pg + ln 4 =
  Sum (fun x => pd x * ln (pd x / (pd x + pg x)) + pg x * ln (pg x / (pd x + pg x)) + (pd x + pg x) * ln 2).
Proof.
  intros [_ Sd] [_ Sg]. destruct ln_2_4 as [-> _].
  rewrite (Sum_ext _ (fun x => pd x * ln (pd x / (pd x + pg x)) + pg x * ln (pg x / (pd x + pg x)) +
    ln 2 * (pd x + pg x))) by (intros; ring).
  rewrite Sum_plus, Sum_plus, Sum_scal, Sum_plus, Sd, Sg. unfold C. ring.
Qed.

(* Pinsker's inequality *)
Theorem tv_below (pd pg : X -> R) : distribution pd -> distribution pg ->
  - ln 4 + TV pd pg ^ 2 <= C pd pg.
Proof.
  intros Hd Hg. enough (TV pd pg ^ 2 <= C pd pg + ln 4) by lra. rewrite C_as_points by easy.
  destruct Hd as [Hd Sd], Hg as [Hg Sg]. set (l := TV pd pg).
  replace (l ^ 2) with (Sum (fun x => l * Rabs (pd x - pg x) - l * l / 2 * (pd x + pg x))).
  - apply Sum_le. intros x. specialize (Hd x). specialize (Hg x). destruct (Req_dec (pd x + pg x) 0) as [S | S].
    + replace (pd x) with 0 by lra. replace (pg x) with 0 by lra. rewrite Rminus_0_r, Rabs_R0. lra.
    + apply Rle_trans with (2 := proj1 (point_bounds (pd x) (pg x) Hd Hg ltac:(lra))).
      set (d := Rabs (pd x - pg x)). set (s := pd x + pg x) in *. assert (0 < s) by (unfold s in *; lra).
      enough (0 <= (d - l * s) * (d - l * s) / (2 * s)).
      { replace (d * d / (2 * s)) with ((d - l * s) * (d - l * s) / (2 * s) + (l * d - l * l / 2 * s));
        [lra | field; lra]. }
      apply Rdiv_le_0_compat; [apply Rle_0_sqr | lra].
  - rewrite Sum_minus, !Sum_scal, Sum_plus, Sd, Sg. unfold l, TV. field.
Qed.

Theorem tv_above (pd pg : X -> R) : distribution pd -> distribution pg ->
  C pd pg <= - ln 4 + TV pd pg * ln 4.
Proof.
  intros Hd Hg. enough (C pd pg + ln 4 <= TV pd pg * ln 4) by lra. rewrite C_as_points by easy.
  destruct Hd as [Hd Sd], Hg as [Hg Sg].
  replace (TV pd pg * ln 4) with (Sum (fun x => ln 2 * Rabs (pd x - pg x))).
  - apply Sum_le. intros x. specialize (Hd x). specialize (Hg x). destruct (Req_dec (pd x + pg x) 0) as [S | S].
    + replace (pd x) with 0 by lra. replace (pg x) with 0 by lra. rewrite Rminus_0_r, Rabs_R0. lra.
    + pose proof (proj2 (point_bounds (pd x) (pg x) Hd Hg ltac:(lra))). lra.
  - rewrite Sum_scal. unfold TV. destruct ln_2_4 as [-> _]. field.
Qed.

End Bounds.
