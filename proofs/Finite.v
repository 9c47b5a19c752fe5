(* Distributions on a finite space, and what §4 says of them: V, D*, C, KL, JSD. *)

From Coq Require Import Reals Lra List.
From GAN Require Export Pointwise.
Import ListNotations.
Open Scope R_scope.

(* A finite space is a type with a list that holds each of its points once. *)
Class Finite_space (X : Type) := {
  points : list X;
  once : NoDup points;
  complete : forall x, In x points;
  same : forall x y : X, {x = y} + {x <> y}
}.

Section Definitions.
Context {X : Type} `{Finite_space X}.

Definition Sum (f : X -> R) : R := fold_right (fun x s => f x + s) 0 points.
Definition ESum (f : X -> Rbar) : Rbar := fold_right (fun x s => Rbar_plus (f x) s) 0 points.

Definition distribution (p : X -> R) : Prop := (forall x, 0 <= p x) /\ Sum p = 1.
(* D maps into [0, 1]. *)
Definition discriminator (D : X -> R) : Prop := forall x, 0 <= D x <= 1.

(* E_{x ∼ p} f(x); a point without mass counts 0, even where f is infinite. *)
Definition E (p : X -> R) (f : X -> Rbar) : Rbar := ESum (fun x => Rbar_mult (p x) (f x)).

(* V(G, D), as a function of p_g. *)
Definition V (pd pg D : X -> R) : Rbar :=
  Rbar_plus (E pd (fun x => log (D x))) (E pg (fun x => log (1 - D x))).

(* Eq. (2). Where both are 0 Coq's quotient is 0; no statement here depends on it. *)
Definition D_star (pd pg : X -> R) (x : X) : R := pd x / (pd x + pg x).

(* Eq. (4). ln's own value at 0 is always multiplied by 0: see the theorem eq_4. *)
Definition C (pd pg : X -> R) : R :=
  Sum (fun x => pd x * ln (pd x / (pd x + pg x))) + Sum (fun x => pg x * ln (pg x / (pd x + pg x))).

(* log(a/b), +∞ where b = 0. *)
Definition log_ratio (a b : R) : Rbar := if Rlt_dec 0 b then log (a / b) else p_infty.

Definition KL (p q : X -> R) : Rbar := E p (fun x => log_ratio (p x) (q x)).

Definition mean (p q : X -> R) (x : X) : R := (p x + q x) / 2.

Definition JSD (p q : X -> R) : Rbar :=
  Rbar_plus (Rbar_mult (1 / 2) (KL p (mean p q))) (Rbar_mult (1 / 2) (KL q (mean p q))).

Definition TV (p q : X -> R) : R := Sum (fun x => Rabs (p x - q x)) / 2.

End Definitions.

(* The distribution of G(z) where z has the distribution p_z. *)
Definition pushforward {Z X} `{Finite_space Z} `{Finite_space X} (pz : Z -> R) (G : Z -> X) (x : X) : R :=
  Sum (fun z => if same (G z) x then pz z else 0).

(* V(G, D) as Eq. (1) has it. *)
Definition game {Z X} `{Finite_space Z} `{Finite_space X} (pd : X -> R) (pz : Z -> R) (G : Z -> X)
  (D : X -> R) : Rbar :=
  Rbar_plus (E pd (fun x => log (D x))) (E pz (fun z => log (1 - D (G z)))).

(* Sums *)

Section Sums.
Context {X : Type} `{Finite_space X}.

Local Notation sum f l := (fold_right (fun x s => f x + s) 0 l).
Local Notation esum f l := (fold_right (fun x s => Rbar_plus (f x) s) 0 l).

Lemma Sum_ext (f g : X -> R) : (forall x, f x = g x) -> Sum f = Sum g.
Proof. unfold Sum. intros K. induction points; simpl; [easy |]. now rewrite K, IHl. Qed.
Lemma Sum_plus (f g : X -> R) : Sum (fun x => f x + g x) = Sum f + Sum g.
Proof. unfold Sum. induction points; simpl; lra. Qed.
Lemma Sum_minus (f g : X -> R) : Sum (fun x => f x - g x) = Sum f - Sum g.
Proof. unfold Sum. induction points; simpl; lra. Qed.
Lemma Sum_scal (c : R) (f : X -> R) : Sum (fun x => c * f x) = c * Sum f.
Proof. unfold Sum. induction points; simpl; lra. Qed.

(* What lies below a finite sum, term by term, and is as large as a whole, is equal to it term by term. *)
Lemma ESum_le (f : X -> Rbar) (g : X -> R) : (forall x, Rbar_le (f x) (g x)) ->
  Rbar_le (ESum f) (Sum g) /\ (ESum f = Sum g -> forall x, f x = g x).
Proof.
  intros K. unfold ESum, Sum.
  enough (L : forall l, Rbar_le (esum f l) (sum g l) /\ (esum f l = sum g l -> forall x, In x l -> f x = g x)).
  { split; [apply L |]. intros Q x. apply L with (1 := Q), complete. }
  induction l as [| y l [L Q]]; simpl; [split; [lra | easy] |]. specialize (K y).
  destruct (fold_right _ _ l) as [u | |], (f y) as [v | |] eqn:F; simpl in *; try easy.
  split; [lra |]. intros [= E] x [<- | I]; [rewrite F; f_equal; lra | apply Q; [f_equal; lra | easy]].
Qed.

Lemma ESum_finite (f : X -> Rbar) (g : X -> R) : (forall x, f x = g x) -> ESum f = Sum g.
Proof. unfold ESum, Sum. intros K. induction points; simpl; [easy |]. now rewrite K, IHl. Qed.

Lemma Sum_le (f g : X -> R) : (forall x, f x <= g x) ->
  Sum f <= Sum g /\ (Sum f = Sum g -> forall x, f x = g x).
Proof.
  intros K. destruct (ESum_le (fun x => f x) g K) as [L Q].
  rewrite (ESum_finite _ f) in L, Q by easy. split; [exact L |]. intros E x.
  enough (Finite (f x) = g x) by congruence. apply Q. now rewrite E.
Qed.

Lemma Sum_nonneg (f : X -> R) : (forall x, 0 <= f x) -> 0 <= Sum f /\ (Sum f = 0 -> forall x, f x = 0).
Proof.
  intros K. destruct (Sum_le (fun x => 0 * f x) f) as [L Q]; [intros x; specialize (K x); lra |].
  rewrite Sum_scal, Rmult_0_l in L, Q. split; [exact L |]. intros E x. specialize (Q (eq_sym E) x). lra.
Qed.

Lemma ESum_plus (f g : X -> Rbar) : (forall x, f x <> p_infty) -> (forall x, g x <> p_infty) ->
  ESum (fun x => Rbar_plus (f x) (g x)) = Rbar_plus (ESum f) (ESum g) /\ ESum f <> p_infty.
Proof.
  intros Hf Hg. unfold ESum. enough (L : forall l, esum f l <> p_infty /\ esum g l <> p_infty /\
    fold_right (fun x s => Rbar_plus (Rbar_plus (f x) (g x)) s) 0 l = Rbar_plus (esum f l) (esum g l))
    by (split; apply L).
  induction l as [| x l (Nu & Nv & IH)]; simpl; [repeat split; try easy; f_equal; ring |].
  rewrite IH. clear IH. revert Nu Nv. generalize (esum f l) (esum g l). intros u v Nu Nv.
  specialize (Hf x). specialize (Hg x). destruct (f x), (g x), u, v; simpl; repeat split; try easy. f_equal. ring.
Qed.

Lemma E_finite (p : X -> R) (f : X -> Rbar) (g : X -> R) :
  (forall x, p x = 0 \/ f x = g x) -> E p f = Sum (fun x => p x * g x).
Proof. intros K. apply ESum_finite. intros x. apply weighted_finite, K. Qed.

Lemma weighted_below (a : R) (l : Rbar) : 0 <= a -> l <> p_infty -> Rbar_mult a l <> p_infty.
Proof.
  intros [P | <-] N; [| now rewrite Rbar_mult_0_l]. destruct l; [easy | easy | now rewrite weighted_infinite].
Qed.

Lemma weighted_plus (l : R) (u v : Rbar) : 0 < l -> u <> p_infty -> v <> p_infty ->
  Rbar_mult l (Rbar_plus u v) = Rbar_plus (Rbar_mult l u) (Rbar_mult l v).
Proof.
  intros Hl. destruct u as [u | |], v as [v | |]; try easy; intros _ _; [simpl; f_equal; ring | ..];
    cbn [Rbar_plus Rbar_plus']; now rewrite ?weighted_infinite.
Qed.

(* Expectations are linear in p, where f takes values in [−∞, ∞). *)
Lemma E_plus (p q : X -> R) (f : X -> Rbar) : (forall x, 0 <= p x) -> (forall x, 0 <= q x) ->
  (forall x, f x <> p_infty) -> E (fun x => p x + q x) f = Rbar_plus (E p f) (E q f) /\ E p f <> p_infty.
Proof.
  intros Hp Hq Hf. unfold E. destruct (ESum_plus (fun x => Rbar_mult (p x) (f x)) (fun x => Rbar_mult (q x) (f x)))
    as [<- N]; [now intros x; apply weighted_below .. |]. split; [| exact N].
  unfold ESum. induction points as [| x l IH]; simpl; [easy |]. rewrite IH. f_equal.
  specialize (Hp x). specialize (Hq x). specialize (Hf x). destruct (f x); [simpl; f_equal; ring | easy |].
  destruct Hp as [Hp | <-], Hq as [Hq | <-]; rewrite ?Rplus_0_l, ?Rplus_0_r, ?Rbar_mult_0_l;
    [now rewrite !weighted_infinite by lra .. | simpl; f_equal; ring].
Qed.

Lemma E_scal (l : R) (p : X -> R) (f : X -> Rbar) : 0 < l -> (forall x, 0 <= p x) ->
  (forall x, f x <> p_infty) -> E (fun x => l * p x) f = Rbar_mult l (E p f).
Proof.
  intros Hl Hp Hf. unfold E, ESum. enough (L : forall m,
    fold_right (fun x s => Rbar_plus (Rbar_mult (p x) (f x)) s) 0 m <> p_infty /\
    fold_right (fun x s => Rbar_plus (Rbar_mult (l * p x) (f x)) s) 0 m =
    Rbar_mult l (fold_right (fun x s => Rbar_plus (Rbar_mult (p x) (f x)) s) 0 m)) by apply L.
  induction m as [| x m [N IH]]; simpl; [split; [easy | f_equal; ring] |]. rewrite IH. clear IH.
  pose proof (weighted_below (p x) (f x) (Hp x) (Hf x)) as W. rewrite weighted_plus by easy. split.
  - revert N W. generalize (fold_right (fun x s => Rbar_plus (Rbar_mult (p x) (f x)) s) 0 m).
    generalize (Rbar_mult (p x) (f x)). now intros [] [].
  - f_equal. specialize (Hp x). specialize (Hf x). destruct (f x); [simpl; f_equal; ring | easy |].
    destruct Hp as [Hp | <-]; [rewrite !weighted_infinite by nra; easy |].
    rewrite Rmult_0_r, !Rbar_mult_0_l. simpl. f_equal. ring.
Qed.

(* The mass a at y. *)
Lemma E_point (a : R) (y : X) (f : X -> Rbar) : E (fun x => if same y x then a else 0) f = Rbar_mult a (f y).
Proof.
  unfold E, ESum. generalize once (complete y). induction points as [| x l IH]; simpl; [easy |].
  intros N I. inversion N as [| ? ? Nx Nl]; subst. destruct (same y x) as [<- | D].
  - replace (fold_right _ _ l) with (Finite 0); [apply Rbar_plus_0_r |]. clear - Nx.
    induction l as [| z l IH]; simpl in *; [easy |]. destruct (same y z) as [-> | _]; [tauto |].
    rewrite <- IH, Rbar_mult_0_l by tauto. simpl. f_equal. ring.
  - rewrite Rbar_mult_0_l, Rbar_plus_0_l. apply IH; [easy |]. destruct I; [congruence | easy].
Qed.

Lemma Sum_one_le (f : X -> R) x : (forall x, 0 <= f x) -> f x <= Sum f.
Proof.
  intros K. pose proof (E_point (f x) x (fun _ => 1)) as P.
  rewrite (E_finite _ _ (fun _ => 1)) in P by now right. injection P as P. rewrite Rmult_1_r in P. rewrite <- P.
  apply Sum_le. intros y. specialize (K y). destruct (same x y) as [<- |]; lra.
Qed.

End Sums.

Lemma E_pushforward {Z X} `{Finite_space Z} `{Finite_space X} (pz : Z -> R) (G : Z -> X) (f : X -> Rbar) :
  (forall z, 0 <= pz z) -> (forall x, f x <> p_infty) ->
  E pz (fun z => f (G z)) = E (pushforward pz G) f.
Proof.
  intros Hp Hf. unfold E at 1, ESum, pushforward, Sum. enough (L : forall l,
    let q x := fold_right (fun z s => (if same (G z) x then pz z else 0) + s) 0 l in (forall x, 0 <= q x) /\
    fold_right (fun z s => Rbar_plus (Rbar_mult (pz z) (f (G z))) s) 0 l = E q f) by apply L.
  induction l as [| z l [Hq IH]]; simpl.
  - split; [intros; lra |]. rewrite (E_finite _ _ (fun _ => 0)) by (intros; now left).
    rewrite Sum_scal. f_equal. ring.
  - assert (P : forall x, 0 <= if same (G z) x then pz z else 0) by (intros; destruct (same _ _); [easy | lra]).
    split; [intros x; specialize (P x); specialize (Hq x); lra |].
    rewrite IH. destruct (E_plus _ _ f P Hq Hf) as [-> _]. now rewrite E_point.
Qed.

Theorem pushforward_distribution {Z X} `{Finite_space Z} `{Finite_space X} (pz : Z -> R) (G : Z -> X) :
  distribution pz -> distribution (pushforward pz G).
Proof.
  intros [Hz S]. split.
  - intros x. unfold pushforward. apply Sum_nonneg. intros z. now destruct (same _ _); [| lra].
  - pose proof (E_pushforward pz G (fun _ => 1) Hz ltac:(easy)) as K.
    rewrite (E_finite pz _ (fun _ => 1)), (E_finite _ _ (fun _ => 1)) in K by now right. injection K as K.
    rewrite (Sum_ext (fun z => pz z * 1) pz), (Sum_ext (fun x => pushforward pz G x * 1) (pushforward pz G)) in K
      by (intros; ring). now rewrite <- K.
Qed.
