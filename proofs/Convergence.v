(* §4.2, Convergence of Algorithm 1, on a finite space: Proposition 2, with the update, the rate and the speed
   that the paper leaves open: exponentiated gradient. *)

From Coq Require Import Reals Lra Lia List.
From Coquelicot Require Import Rcomplements.
From GAN Require Export Optimality.
Open Scope R_scope.

Section Proposition_2.
Context {X : Type} `{Finite_space X}.

(* p ≪ q *)
Definition dominated (p q : X -> R) : Prop := forall x, q x = 0 -> p x = 0.

(* p_g(x) exp(−η log(1 − D*(x))). Where p_g is 0 the product stays 0, whatever the factor. *)
Definition weight (rate : R) (pd p : X -> R) (x : X) : R := p x * Rpower (1 - D_star pd p x) (- rate).

(* A step of p_g against the optimal D; gan.theory.descend. *)
Definition step (rate : R) (pd p : X -> R) (x : X) : R := weight rate pd p x / Sum (weight rate pd p).

Fixpoint path (rate : R) (pd p_0 : X -> R) (t : nat) : X -> R :=
  match t with O => p_0 | S s => step rate pd (path rate pd p_0 s) end.

Definition mix (l : R) (p q : X -> R) (x : X) : R := l * p x + (1 - l) * q x.

(* "U(p_g, D) is convex in p_g": it is affine. *)
Theorem U_affine (pd p q D : X -> R) (l : R) : distribution pd -> distribution p -> distribution q ->
  0 < l < 1 -> V pd (mix l p q) D = Rbar_plus (Rbar_mult l (V pd p D)) (Rbar_mult (1 - l) (V pd q D)).
Proof.
  intros [Hd _] [Hp _] [Hq _] Hl. unfold V, mix. set (f := fun x => log (1 - D x)). set (g := fun x => log (D x)).
  assert (Hf : forall x, f x <> p_infty) by (intros; apply log_below).
  assert (Scale : forall m (r : X -> R), 0 < m -> (forall x, 0 <= r x) -> forall x, 0 <= m * r x).
  { intros m r Hm Hr x. specialize (Hr x). nra. }
  destruct (E_plus (fun x => l * p x) (fun x => (1 - l) * q x) f) as [-> _]; try apply Scale; try easy; try lra.
  rewrite !E_scal by (easy || lra). destruct (E_plus pd p g) as [_ Nd]; try easy; [intros; apply log_below |].
  destruct (E_plus p q f) as [_ Np]; try easy. destruct (E_plus q p f) as [_ Nq]; try easy. revert Nd Np Nq.
  generalize (E pd g) (E p f) (E q f). intros u v w Nu Nv Nw. rewrite !weighted_plus by (easy || lra).
  destruct u, v, w; try easy; rewrite ?weighted_infinite by lra; simpl; try easy. f_equal. ring.
Qed.

(* "The subderivatives of a supremum of convex functions include the derivative of the function at the point
   where the maximum is attained": U(·, D*_p) lies below C = sup_D U(·, D) and touches it at p. *)
Theorem touches (pd p q : X -> R) : distribution pd -> distribution p -> distribution q ->
  V pd p (D_star pd p) = C pd p /\ Rbar_le (V pd q (D_star pd p)) (C pd q).
Proof. intros Hd Hp Hq. destruct (eq_4 pd p Hd Hp) as (HD & Q & _). split; [exact Q |]. now apply eq_4. Qed.

(* "sup_D U(p_g, D) is convex in p_g" *)
Theorem C_convex (pd p q : X -> R) (l : R) : distribution pd -> distribution p -> distribution q ->
  0 < l < 1 -> C pd (mix l p q) <= l * C pd p + (1 - l) * C pd q.
Proof.
  intros Hd Hp Hq Hl. assert (Hm : distribution (mix l p q)).
  { destruct Hp as [Hp Sp], Hq as [Hq Sq]. unfold mix. split.
    - intros x. specialize (Hp x). specialize (Hq x). nra.
    - rewrite Sum_plus, !Sum_scal, Sp, Sq. ring. }
  destruct (eq_4 pd _ Hd Hm) as (HD & Q & _). rewrite U_affine in Q by easy.
  destruct (eq_4 pd p Hd Hp) as (_ & _ & Lp). specialize (Lp _ HD).
  destruct (eq_4 pd q Hd Hq) as (_ & _ & Lq). specialize (Lq _ HD).
  destruct (V pd p _) as [u | |], (V pd q _) as [v | |]; simpl in Lp, Lq; try easy;
    rewrite ?weighted_infinite in Q by lra; try easy.
  injection Q as Q. nra.
Qed.

(* The quantities of the proof: A = Σ p_data log D*_p, S q = Σ q log(1 − D*_p), Z the normaliser. *)
Definition kl (p q : X -> R) : R := Sum (fun x => p x * (ln (p x) - ln (q x))).

Lemma zero_or_pos (p : X -> R) x : (forall x, 0 <= p x) -> p x = 0 \/ 0 < p x.
Proof. intros K. specialize (K x). lra. Qed.

Lemma KL_kl (p q : X -> R) : distribution p -> (forall x, 0 <= q x) -> dominated p q -> KL p q = kl p q.
Proof.
  intros [Hp _] Hq Hpq. rewrite KL_finite; [| easy |].
  - f_equal. apply Sum_ext. intros x. destruct (zero_or_pos p x Hp) as [-> | P]; [ring |].
    destruct (zero_or_pos q x Hq) as [Z | Q]; [apply Hpq in Z; lra |]. now rewrite ln_div.
  - intros x. destruct (zero_or_pos q x Hq) as [Z | Q]; [left; now apply Hpq | now right].
Qed.

Lemma kl_nonneg (p q : X -> R) : distribution p -> distribution q -> dominated p q ->
  0 <= kl p q /\ (kl p q = 0 -> forall x, q x = p x).
Proof.
  intros [Hp Sp] [Hq Sq] Hpq. unfold kl. assert (L : forall x, p x - q x <= p x * (ln (p x) - ln (q x)) /\
    (p x - q x = p x * (ln (p x) - ln (q x)) -> q x = p x)).
  { intros x. destruct (gibbs (p x) 1 (q x)) as [L Q]; auto; [lra | |].
    - destruct (zero_or_pos q x Hq) as [Z | Q]; [left; now apply Hpq | now right].
    - unfold Rdiv in *. rewrite Rinv_1, Rmult_1_r in *. split; [lra | intros; apply Q; lra]. }
  assert (S : Sum (fun x => p x - q x) = 0) by (rewrite Sum_minus; lra). split.
  - rewrite <- S. apply Sum_le. intros x. apply L.
  - intros Z x. apply L. apply (proj2 (Sum_le _ _ (fun y => proj1 (L y)))). lra.
Qed.

Section At_p.
Variables (pd p : X -> R) (rate : R).
Hypotheses (Hd : distribution pd) (Hp : distribution p) (dom : dominated pd p) (pos : 0 < rate).

Let D := D_star pd p.
Let A := Sum (fun x => pd x * ln (D x)).
Let S (q : X -> R) := Sum (fun x => q x * ln (1 - D x)).
Let Z := Sum (weight rate pd p).
Let p' := step rate pd p.

Lemma off x : p x = 0 -> pd x = 0 /\ D x = 0.
Proof. intros K. specialize (dom x K). split; [easy |]. unfold D, D_star. rewrite dom. unfold Rdiv. ring. Qed.

Lemma on x : 0 < p x -> 1 - D x = p x / (pd x + p x) /\ 0 < 1 - D x /\ ln (1 - D x) = ln (p x) - ln (pd x + p x).
Proof.
  intros K. destruct Hd as [Hd' _]. specialize (Hd' x).
  destruct (D_star_sides (pd x) (p x)) as (Q & _); try lra. unfold D, D_star. rewrite Q.
  repeat split; [apply Rdiv_lt_0_compat | apply ln_div]; lra.
Qed.

Lemma p_cases x : p x = 0 \/ 0 < p x.
Proof. apply zero_or_pos, Hp. Qed.

(* U(q, D*_p) is A + S q, for every q. *)
Lemma U_here (q : X -> R) : V pd q D = A + S q.
Proof.
  rewrite V_finite.
  - unfold A, S. now rewrite <- Sum_plus.
  - intros x. destruct Hd as [Hd' _]. destruct (p_cases x) as [P | P]; [left; now apply off |].
    destruct (zero_or_pos pd x Hd') as [? | Q]; [now left | right]. unfold D, D_star. apply Rdiv_lt_0_compat; lra.
  - intros x. right. destruct (p_cases x) as [P | P]; [apply off in P; lra | apply on in P; lra].
Qed.

Lemma C_here : C pd p = A + S p.
Proof. destruct (eq_4 pd p Hd Hp) as (_ & Q & _). fold D in Q. rewrite U_here in Q. now injection Q. Qed.
Lemma C_above (q : X -> R) : distribution q -> A + S q <= C pd q.
Proof. intros Hq. destruct (touches pd p q Hd Hp Hq) as [_ L]. fold D in L. now rewrite U_here in L. Qed.

(* C(q) ≤ C(p) + ⟨log(1 − D*_p), q − p⟩ + KL(q ‖ p): relative smoothness. *)
Lemma smooth (q : X -> R) : distribution q -> dominated q p -> C pd q <= A + S q + kl q p.
Proof.
  intros [Hq Sq] Hqp. destruct Hd as [Hd' _], Hp as [Hp' Sp].
  assert (N : Sum (fun x => p x - q x) = 0) by (rewrite Sum_minus; lra).
  rewrite <- (Rplus_0_r (_ + kl q p)), <- N. unfold C, A, S, kl. rewrite <- !Sum_plus. apply Sum_le. intros x.
  specialize (Hd' x). specialize (Hq x). destruct (p_cases x) as [P | P].
  - destruct (off x P) as [-> _]. apply Hqp in P as P'. rewrite P', P. lra.
  - destruct (on x P) as (_ & _ & ->). destruct (gibbs (pd x + q x) 1 (pd x + p x)) as [G _]; try lra.
    replace ((pd x + q x) / 1) with (pd x + q x) in G by field.
    assert (Q1 : pd x * ln (pd x / (pd x + q x)) = pd x * (ln (pd x) - ln (pd x + q x))).
    { destruct Hd' as [K | <-]; [| ring]. rewrite ln_div; lra. }
    assert (Q2 : q x * ln (q x / (pd x + q x)) = q x * (ln (q x) - ln (pd x + q x))).
    { destruct Hq as [K | <-]; [| ring]. rewrite ln_div; lra. }
    assert (Q3 : pd x * ln (D x) = pd x * (ln (pd x) - ln (pd x + p x))).
    { destruct Hd' as [K | <-]; [| ring]. unfold D, D_star. rewrite ln_div; lra. }
    rewrite Q1, Q2, Q3. nra.
Qed.

Lemma weight_sides x : 0 <= weight rate pd p x /\ (p x = 0 <-> weight rate pd p x = 0).
Proof.
  unfold weight. pose proof (exp_pos (- rate * ln (1 - D_star pd p x))) as E. unfold Rpower.
  destruct (p_cases x) as [-> | P]; [split; [| split]; lra | split; [nra |]]. split; [lra |]. intros K.
  apply Rmult_integral in K. lra.
Qed.

Lemma Z_pos : 0 < Z.
Proof.
  destruct (Sum_nonneg (weight rate pd p) (fun x => proj1 (weight_sides x))) as [[K | K] None]; [exact K |].
  exfalso. destruct Hp as [_ Sp]. rewrite (Sum_ext p (fun x => 0 * p x)), Sum_scal in Sp; [lra |].
  intros x. replace (p x) with 0; [ring | symmetry]. now apply weight_sides, None.
Qed.

Lemma step_distribution : distribution p'.
Proof.
  pose proof Z_pos as P. split.
  - intros x. apply Rdiv_le_0_compat; [apply weight_sides | exact P].
  - unfold p', step. fold Z. rewrite (Sum_ext _ (fun x => / Z * weight rate pd p x)) by (intros; field; lra).
    rewrite Sum_scal. fold Z. field. lra.
Qed.

Lemma step_support x : p x = 0 <-> p' x = 0.
Proof.
  pose proof Z_pos as P. rewrite (proj2 (weight_sides x)). unfold p', step. fold Z. split; intros K.
  - rewrite K. field. lra.
  - apply (Rmult_eq_compat_r Z) in K. field_simplify in K; lra.
Qed.

Lemma step_log x : 0 < p x -> ln (p' x) = ln (p x) - rate * ln (1 - D x) - ln Z.
Proof.
  intros P. pose proof Z_pos as Zp. unfold p', step. fold Z. unfold weight, Rpower. fold D.
  rewrite ln_div, ln_mult, ln_exp; try easy; try apply exp_pos; [ring |].
  apply Rmult_lt_0_compat; [easy | apply exp_pos].
Qed.

(* The three-point identity, from the update. *)
Lemma three_points (q : X -> R) : distribution q -> dominated q p -> kl q p - kl q p' = - rate * S q - ln Z.
Proof.
  intros [Hq Sq] Hqp. unfold kl, S. rewrite <- Sum_minus.
  rewrite (Sum_ext _ (fun x => - rate * (q x * ln (1 - D x)) - ln Z * q x)).
  - rewrite Sum_minus, !Sum_scal, Sq. ring.
  - intros x. destruct (p_cases x) as [P | P]; [apply Hqp in P; rewrite P; ring |]. rewrite (step_log x P). ring.
Qed.

Lemma kl_self (q : X -> R) : kl q q = 0.
Proof. unfold kl. rewrite (Sum_ext _ (fun x => 0 * q x)) by (intros; ring). rewrite Sum_scal. ring. Qed.

Lemma step_bound : rate <= 1 -> C pd p' <= A - ln Z / rate.
Proof.
  intros le1. assert (N : dominated p' p) by (intros x; apply step_support).
  pose proof (smooth p' step_distribution N) as L. pose proof (three_points p' step_distribution N) as T.
  rewrite kl_self in T. destruct (kl_nonneg p' p step_distribution Hp N) as [K _].
  assert (M : rate * (C pd p') <= rate * (A - ln Z / rate)).
  { replace (rate * (A - ln Z / rate)) with (rate * A - ln Z) by (field; lra). nra. }
  apply (Rmult_le_reg_l rate); assumption.
Qed.

Lemma step_drop : rate <= 1 -> kl p p' / rate <= C pd p - C pd p'.
Proof.
  intros le1. pose proof (step_bound le1) as B. rewrite C_here.
  assert (T : kl p p - kl p p' = - rate * S p - ln Z) by (apply three_points; [easy | now intros x]).
  rewrite kl_self in T. replace (kl p p') with (rate * S p + ln Z) by lra.
  replace ((rate * S p + ln Z) / rate) with (S p + ln Z / rate) by (field; lra). lra.
Qed.

Lemma step_toward_data : rate <= 1 -> rate * (C pd p' + ln 4) <= kl pd p - kl pd p'.
Proof.
  intros le1. pose proof (step_bound le1) as B. rewrite three_points by easy. assert (M : A + S pd <= - ln 4).
  { apply Rle_trans with (1 := C_above pd Hd). right. now apply theorem_1. }
  apply Rle_trans with (rate * (A - ln Z / rate + ln 4)); [nra |].
  replace (rate * (A - ln Z / rate + ln 4)) with (rate * (A + ln 4) - ln Z) by (field; lra). nra.
Qed.

Lemma step_fixed : (forall x, p' x = p x) -> forall x, p x = pd x.
Proof.
  intros Fix. set (c := exp (- ln Z / rate)). assert (Same : forall x, p x = c * (pd x + p x)).
  { intros x. destruct (p_cases x) as [P | P]; [destruct (off x P) as [-> _]; rewrite P; ring |].
    pose proof (step_log x P) as L. rewrite Fix in L. destruct (on x P) as (Q & Q' & _). assert (E : 1 - D x = c).
    { rewrite <- (exp_ln _ Q'). unfold c. f_equal. apply (Rmult_eq_reg_l rate); [| lra].
      replace (rate * (- ln Z / rate)) with (- ln Z) by (field; lra). lra. }
    rewrite <- E, Q. field. destruct Hd as [Hd' _]. specialize (Hd' x). lra. }
  destruct Hd as [_ Sd], Hp as [_ Sp]. assert (c = 1 / 2).
  { enough (1 = c * 2) by lra. rewrite <- Sp at 1. rewrite (Sum_ext p _ Same), Sum_scal, Sum_plus, Sd, Sp. ring. }
  intros x. specialize (Same x). nra.
Qed.

End At_p.

(* Its slope: log(1 − D*_p) ∈ ∂C(p). *)
Theorem subgradient (pd p q : X -> R) : distribution pd -> distribution p -> distribution q -> dominated pd p ->
  C pd p + Sum (fun x => ln (1 - D_star pd p x) * (q x - p x)) <= C pd q.
Proof.
  intros Hd Hp Hq dom. rewrite (C_here pd p Hd Hp dom). apply Rle_trans with (2 := C_above pd p Hd Hp dom q Hq).
  rewrite (Sum_ext (fun x => _ * (q x - p x))
    (fun x => q x * ln (1 - D_star pd p x) - p x * ln (1 - D_star pd p x))) by (intros; ring).
  rewrite Sum_minus. lra.
Qed.

(* Every step lowers C by KL(p_t ‖ p_{t+1})/η at least, … *)
Theorem step_descends (pd p : X -> R) (rate : R) : distribution pd -> distribution p -> dominated pd p ->
  0 < rate <= 1 -> Rbar_le (Rbar_mult (/ rate) (KL p (step rate pd p))) (C pd p - C pd (step rate pd p)).
Proof.
  intros Hd Hp dom [pos le1]. pose proof (step_drop pd p rate Hd Hp dom pos le1) as L.
  rewrite KL_kl; [simpl; lra | easy | |].
  - intros x. apply (step_distribution pd p rate Hp).
  - intros x. apply (step_support pd p rate Hp).
Qed.

(* … so it never rises, and stays the same at p_g = p_data alone. *)
Theorem step_strict (pd p : X -> R) (rate : R) : distribution pd -> distribution p -> dominated pd p ->
  0 < rate <= 1 -> C pd (step rate pd p) <= C pd p /\
  (C pd (step rate pd p) = C pd p <-> forall x, p x = pd x).
Proof.
  intros Hd Hp dom [pos le1]. pose proof (step_drop pd p rate Hd Hp dom pos le1) as L.
  assert (Hs := step_distribution pd p rate Hp).
  destruct (kl_nonneg p (step rate pd p) Hp Hs) as [K K0]; [intros x; apply (step_support pd p rate Hp) |].
  assert (P : 0 < / rate) by now apply Rinv_0_lt_compat.
  assert (0 <= kl p (step rate pd p) / rate) by (unfold Rdiv; nra). split; [lra | split].
  - intros Q. apply (step_fixed pd p rate Hd Hp dom pos), K0.
    assert (kl p (step rate pd p) / rate = 0) by lra. unfold Rdiv in *. nra.
  - intros Q. apply theorem_1 in Q; [| easy | easy]. destruct (theorem_1 pd _ Hd Hs) as (_ & _ & B). lra.
Qed.

Lemma path_invariant (pd p_0 : X -> R) (rate : R) t : distribution p_0 -> dominated pd p_0 ->
  distribution (path rate pd p_0 t) /\ dominated pd (path rate pd p_0 t).
Proof.
  intros Hp dom. induction t as [| t [IHd IHs]]; [easy |]. simpl. split.
  - now apply step_distribution.
  - intros x K. apply IHs, (step_support pd _ rate IHd x), K.
Qed.

Lemma path_bound (pd p_0 : X -> R) (rate : R) t : distribution pd -> distribution p_0 -> dominated pd p_0 ->
  0 < rate <= 1 -> rate * INR t * (C pd (path rate pd p_0 t) + ln 4) <= kl pd p_0.
Proof.
  intros Hd Hp dom Hr.
  enough (B : rate * INR t * (C pd (path rate pd p_0 t) + ln 4) <= kl pd p_0 - kl pd (path rate pd p_0 t)).
  { destruct (path_invariant pd p_0 rate t Hp dom) as [I J]. destruct (kl_nonneg pd _ Hd I J). lra. }
  induction t as [| t IH]; [simpl; lra |].
  destruct (path_invariant pd p_0 rate t Hp dom) as [I J]. simpl path. rewrite S_INR.
  destruct (step_strict pd _ rate Hd I J Hr) as [L _].
  pose proof (step_toward_data pd _ rate Hd I J (proj1 Hr) (proj2 Hr)) as T.
  assert (0 <= rate * INR t) by (pose proof (pos_INR t); nra). nra.
Qed.

(* C(p_t) + log 4 ≤ KL(p_data ‖ p_0)/(η t) *)
Theorem path_speed (pd p_0 : X -> R) (rate : R) t : distribution pd -> distribution p_0 -> dominated pd p_0 ->
  0 < rate <= 1 -> (0 < t)%nat ->
  Rbar_le (C pd (path rate pd p_0 t) + ln 4) (Rbar_mult (/ (rate * INR t)) (KL pd p_0)).
Proof.
  intros Hd Hp dom Hr Ht. rewrite KL_kl; [| easy | apply Hp | easy]. simpl.
  pose proof (path_bound pd p_0 rate t Hd Hp dom Hr) as B.
  assert (P : 0 < rate * INR t) by (apply Rmult_lt_0_compat; [lra | now apply lt_0_INR]).
  apply (Rmult_le_reg_l (rate * INR t)); [easy |]. field_simplify; nra.
Qed.

(* Proposition 2. "If … the discriminator is allowed to reach its optimum given G, and p_g is updated so as to
   improve the criterion, then p_g converges to p_data": p_t(x) → p_data(x) for every x. *)
Theorem proposition_2 (pd p_0 : X -> R) (rate : R) : distribution pd -> distribution p_0 -> dominated pd p_0 ->
  0 < rate <= 1 -> forall x, Un_cv (fun t => path rate pd p_0 t x) (pd x).
Proof.
  intros Hd Hp dom Hr x e He. destruct (archimed_cor1 (rate * (e * e) / (4 * (kl pd p_0 + 1)))) as (n & Hn & n0).
  { destruct (kl_nonneg pd p_0 Hd Hp dom). apply Rdiv_lt_0_compat; [| lra]. apply Rmult_lt_0_compat; nra. }
  exists n. intros t Ht. unfold R_dist.
  destruct (path_invariant pd p_0 rate t Hp dom) as [I _]. set (p := path rate pd p_0 t) in *.
  pose proof (path_bound pd p_0 rate t Hd Hp dom Hr) as B. fold p in B. pose proof (tv_below pd p Hd I) as P.
  assert (One : Rabs (p x - pd x) <= 2 * TV pd p).
  { rewrite Rabs_minus_sym. unfold TV.
    pose proof (Sum_one_le (fun x => Rabs (pd x - p x)) x (fun y => Rabs_pos _)). simpl in *. lra. }
  destruct (kl_nonneg pd p_0 Hd Hp dom) as [K _]. assert (Hn' : INR n <= INR t) by now apply le_INR.
  assert (N0 : 0 < INR n) by now apply lt_0_INR. assert (Key : 4 * (kl pd p_0 + 1) < rate * INR t * (e * e)).
  { apply (Rmult_lt_compat_l (INR n * (4 * (kl pd p_0 + 1)))) in Hn; [| nra].
    field_simplify in Hn; [nra | lra | lra]. }
  assert (T : rate * INR t * TV pd p ^ 2 <= kl pd p_0).
  { apply Rle_trans with (2 := B). apply Rmult_le_compat_l; [nra | lra]. }
  assert (Sq : (2 * TV pd p) * (2 * TV pd p) < e * e).
  { apply (Rmult_lt_reg_l (rate * INR t)); [nra |]. nra. }
  pose proof (Rabs_pos (p x - pd x)). nra.
Qed.

(* At rate 1 a step goes half the way. *)
Theorem full_step (pd p : X -> R) x : distribution pd -> distribution p -> dominated pd p ->
  step 1 pd p x = (p x + pd x) / 2.
Proof.
  intros Hd Hp dom. assert (W : forall y, weight 1 pd p y = p y + pd y).
  { intros y. unfold weight. destruct (zero_or_pos p y (proj1 Hp)) as [P | P].
    - rewrite P, (dom y P). ring.
    - destruct (on pd p Hd y P) as (Q & Q' & _). rewrite Rpower_Ropp, Rpower_1, Q by easy.
      field. destruct Hd as [Hd _]. specialize (Hd y). lra. }
  unfold step. rewrite W, (Sum_ext _ _ W), Sum_plus. destruct Hd as [_ ->], Hp as [_ ->]. field.
Qed.

End Proposition_2.
