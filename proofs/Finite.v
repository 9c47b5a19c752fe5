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

Lemma fold_ext (f g : X -> R) l : (forall x, In x l -> f x = g x) ->
  fold_right (fun x s => f x + s) 0 l = fold_right (fun x s => g x + s) 0 l.
Proof. induction l as [| x l IH]; simpl; intros K; [easy |]. rewrite K, IH; auto. Qed.

Lemma Sum_ext (f g : X -> R) : (forall x, f x = g x) -> Sum f = Sum g.
Proof. intros K. apply fold_ext. auto. Qed.

Lemma Sum_plus (f g : X -> R) : Sum (fun x => f x + g x) = Sum f + Sum g.
Proof. unfold Sum. induction points; simpl; lra. Qed.

Lemma Sum_minus (f g : X -> R) : Sum (fun x => f x - g x) = Sum f - Sum g.
Proof. unfold Sum. induction points; simpl; lra. Qed.

Lemma Sum_scal (c : R) (f : X -> R) : Sum (fun x => c * f x) = c * Sum f.
Proof. unfold Sum. induction points; simpl; lra. Qed.

Lemma Sum_le (f g : X -> R) : (forall x, f x <= g x) -> Sum f <= Sum g.
Proof. unfold Sum. intros K. induction points as [| x l IH]; simpl; [lra | specialize (K x); lra]. Qed.

Lemma Sum_nonneg (f : X -> R) : (forall x, 0 <= f x) -> 0 <= Sum f.
Proof. intros K. replace 0 with (0 * Sum f) by ring. rewrite <- Sum_scal. apply Sum_le. intros x. specialize (K x). lra. Qed.

Lemma Sum_one_le (f : X -> R) x : (forall x, 0 <= f x) -> f x <= Sum f.
Proof.
  unfold Sum. intros K. generalize (complete x). induction points as [| y l IH]; simpl; [easy |].
  assert (0 <= fold_right (fun x s => f x + s) 0 l).
  { clear IH. induction l; simpl; [lra |]. specialize (K a). lra. }
  intros [-> | L]; [lra |]. specialize (IH L). specialize (K y). lra.
Qed.

Lemma Sum_zero (f : X -> R) : (forall x, 0 <= f x) -> Sum f = 0 -> forall x, f x = 0.
Proof. intros K S x. pose proof (Sum_one_le f x K). specialize (K x). lra. Qed.

(* Terms that are equal in sum and ordered are equal one by one. *)
Lemma Sum_eq_terms (f g : X -> R) : (forall x, f x <= g x) -> Sum f = Sum g -> forall x, f x = g x.
Proof.
  intros K S x. enough (g x - f x = 0) by lra.
  apply (Sum_zero (fun x => g x - f x)); [intros y; specialize (K y); lra |].
  rewrite Sum_minus. lra.
Qed.

Lemma Sum_exchange {Z} `{Finite_space Z} (f : Z -> X -> R) :
  Sum (fun z => Sum (fun x => f z x)) = Sum (fun x => Sum (fun z => f z x)).
Proof.
  unfold Sum at 1 4. induction (@points Z _) as [| z l IH]; simpl.
  - transitivity (Sum (fun _ : X => 0 * 0)); [rewrite Sum_scal; ring | apply Sum_ext; intros; ring].
  - rewrite IH, <- Sum_plus. reflexivity.
Qed.

Lemma Sum_indicator (x : X) (f : X -> R) : Sum (fun y => if same x y then f y else 0) = f x.
Proof.
  unfold Sum. generalize once (complete x). induction points as [| y l IH]; simpl; [easy |].
  intros N I. inversion N as [| ? ? Ny Nl]; subst. destruct (same x y) as [<- | D].
  - replace (fold_right _ 0 l) with 0; [ring |]. clear - Ny.
    induction l as [| z l IH]; simpl in *; [easy |]. destruct (same x z) as [-> | _]; [tauto |].
    rewrite <- IH; [ring | tauto].
  - rewrite IH; [ring | easy |]. destruct I; [congruence | easy].
Qed.

Lemma E_finite (p : X -> R) (f : X -> Rbar) (g : X -> R) :
  (forall x, p x = 0 \/ f x = g x) -> E p f = Sum (fun x => p x * g x).
Proof.
  unfold E, ESum, Sum. intros K. induction points as [| x l IH]; simpl; [easy |].
  now rewrite IH, (weighted_finite _ _ _ (K x)).
Qed.

Lemma E_infinite (p : X -> R) (f : X -> Rbar) x : (forall x, 0 <= p x) -> (forall x, f x <> p_infty) ->
  0 < p x -> f x = m_infty -> E p f = m_infty.
Proof.
  intros Hp Hf Px Fx. unfold E, ESum.
  assert (T : forall y, Rbar_mult (p y) (f y) <> p_infty).
  { intros y. specialize (Hp y). specialize (Hf y). destruct Hp as [Hp | <-].
    - destruct (f y); [discriminate | easy | now rewrite weighted_infinite].
    - now rewrite Rbar_mult_0_l. }
  assert (N : forall l, fold_right (fun x s => Rbar_plus (Rbar_mult (p x) (f x)) s) 0 l <> p_infty).
  { induction l as [| y l IH]; simpl; [easy |]. specialize (T y).
    now destruct (Rbar_mult (p y) (f y)), (fold_right _ _ l). }
  generalize (complete x). induction points as [| y l IH]; simpl; [easy |]. intros [-> | I].
  - rewrite Fx, weighted_infinite by easy. specialize (N l). now destruct (fold_right _ _ l).
  - rewrite (IH I). specialize (T y). now destruct (Rbar_mult (p y) (f y)).
Qed.

(* An expectation of logarithms of numbers ≤ 1 is finite or −∞. *)
Lemma E_cases (p : X -> R) (f : X -> Rbar) : (forall x, 0 <= p x) -> (forall x, f x <> p_infty) ->
  (forall x, p x = 0 \/ f x = real (f x)) \/ exists x, 0 < p x /\ f x = m_infty.
Proof.
  intros Hp Hf.
  assert (Dec : forall x, {0 < p x /\ f x = m_infty} + {~ (0 < p x /\ f x = m_infty)}).
  { intros x. destruct (Rlt_dec 0 (p x)); [| right; tauto]. destruct (f x); [right | right | left]; easy. }
  destruct (Exists_dec _ points Dec) as [Ex | No].
  - right. apply Exists_exists in Ex. destruct Ex as (x & _ & Q). now exists x.
  - left. intros x. rewrite <- Forall_Exists_neg, Forall_forall in No. specialize (No x (complete x)).
    specialize (Hf x). destruct (Hp x) as [P | P]; [| now left]. right.
    destruct (f x); [easy | easy | tauto].
Qed.

Lemma E_ext (p : X -> R) (f g : X -> Rbar) : (forall x, p x = 0 \/ f x = g x) -> E p f = E p g.
Proof.
  unfold E, ESum. intros K. induction points as [| x l IH]; simpl; [easy |]. rewrite IH. f_equal.
  destruct (K x) as [-> | ->]; [now rewrite !Rbar_mult_0_l | easy].
Qed.

Lemma ESum_plus (f g : X -> Rbar) : (forall x, f x <> p_infty) -> (forall x, g x <> p_infty) ->
  ESum (fun x => Rbar_plus (f x) (g x)) = Rbar_plus (ESum f) (ESum g).
Proof.
  intros Hf Hg. unfold ESum.
  assert (N : forall h l, (forall x : X, h x <> p_infty) ->
    fold_right (fun x s => Rbar_plus (h x) s) 0 l <> p_infty).
  { intros h l Hh. induction l as [| y l IH]; simpl; [easy |]. specialize (Hh y).
    now destruct (h y), (fold_right _ _ l). }
  induction points as [| x l IH]; simpl; [f_equal; ring |]. rewrite IH.
  specialize (N f l Hf) as Nf. specialize (N g l Hg) as Ng. specialize (Hf x). specialize (Hg x).
  clear IH N. revert Nf Ng. generalize (fold_right (fun x s => Rbar_plus (f x) s) 0 l).
  generalize (fold_right (fun x s => Rbar_plus (g x) s) 0 l). intros u v Nu Nv.
  destruct (f x), (g x), u, v; simpl; try easy. f_equal. ring.
Qed.

Lemma weighted_log (a y : R) : 0 <= a -> Rbar_mult a (log y) <> p_infty.
Proof.
  intros [P | <-]; [| now rewrite Rbar_mult_0_l]. unfold log.
  destruct (Rlt_dec 0 y); [easy | now rewrite weighted_infinite].
Qed.

Lemma log_finite (y : R) : log y <> p_infty.
Proof. unfold log. now destruct (Rlt_dec 0 y). Qed.

End Sums.

Section Pushforward.
Context {X : Type} `{Finite_space X}.

Lemma E_pushforward {Z} `{Finite_space Z} (pz : Z -> R) (G : Z -> X) (f : X -> Rbar) :
  (forall z, 0 <= pz z) -> (forall x, f x <> p_infty) ->
  E pz (fun z => f (G z)) = E (pushforward pz G) f.
Proof.
  intros Hp Hf.
  assert (Hq : forall x, 0 <= pushforward pz G x).
  { intros x. unfold pushforward. apply Sum_nonneg. intros z. destruct (same _ _); [apply Hp | lra]. }
  destruct (E_cases pz (fun z => f (G z)) Hp) as [Fin | (z & Pz & Fz)]; [auto | |].
  - rewrite (E_finite _ _ (fun z => real (f (G z))) Fin), (E_finite _ _ (fun x => real (f x))).
    + f_equal. unfold pushforward.
      rewrite (Sum_ext _ (fun x => Sum (fun z => if same (G z) x then pz z * real (f x) else 0))).
      * rewrite <- Sum_exchange. apply Sum_ext. intros z. symmetry.
        apply (Sum_indicator (G z) (fun x => pz z * real (f x))).
      * intros x. rewrite Rmult_comm, <- Sum_scal. apply Sum_ext. intros z.
        destruct (same _ _); ring.
    + intros x. destruct (f x) as [r | |] eqn:Fx; [now right | now apply Hf in Fx |]. left.
      unfold pushforward. transitivity (Sum (fun z : Z => 0 * 0)); [| rewrite Sum_scal; ring].
      apply Sum_ext. intros z. destruct (same (G z) x) as [<- |]; [| ring].
      destruct (Fin z) as [-> | Q]; [ring |]. now rewrite Fx in Q.
  - assert (Pq : 0 < pushforward pz G (G z)).
    { apply Rlt_le_trans with (1 := Pz). unfold pushforward.
      refine (Rle_trans _ _ _ _ (Sum_one_le _ z _)); simpl.
      - destruct (same (G z) (G z)); [lra | easy].
      - intros y. destruct (same _ _); [apply Hp | lra]. }
    rewrite (E_infinite pz _ z), (E_infinite _ f (G z)); auto.
Qed.

End Pushforward.
