(* §4.1 for densities on any measure space, with Lebesgue's integral; "equal" is "almost everywhere equal". *)

From mathcomp Require Import all_ssreflect ssralg ssrnum ssrint interval.
From mathcomp.classical Require Import boolp classical_sets functions mathcomp_extra.
From mathcomp.analysis Require Import reals ereal signed topology normedtype sequences derive realfun exp numfun.
From mathcomp.analysis Require Import measure lebesgue_measure lebesgue_integral.
Import Order.TTheory GRing.Theory Num.Theory numFieldNormedType.Exports.
Set Implicit Arguments.
Unset Strict Implicit.
Local Open Scope classical_set_scope.
Local Open Scope ring_scope.

Section Point.
Variable R : realType.
Implicit Types a b c y : R.

(* log 0 = −∞; the library's ln is total *)
Definition elog y : \bar R := if 0 < y then (ln y)%:E else -oo%E.

Lemma expR_above y : y != 0 -> 1 + y < expR y.
Proof.
have E (u v : R) : u < v -> exists2 w, w \in `]u, v[ & expR v - expR u = expR w * (v - u).
  move=> uv; apply: MVT => //. by apply/continuous_subspaceT => ?; exact: continuous_expR.
rewrite neq_lt => /orP[y0|y0].
- have [w + Q] := E y 0 y0; rewrite in_itv /= => /andP[_ w0].
  rewrite -ltr_subr_addl -[X in y < X]opprK -[X in X < _]opprK ltr_opp2 opprB.
  by rewrite -expR0 Q sub0r gtr_pmull ?oppr_gt0// expR_lt1.
- have [w + Q] := E 0 y y0; rewrite in_itv /= => /andP[w0 _].
  by rewrite -ltr_subr_addl -expR0 Q subr0 ltr_pmull// expR_gt1.
Qed.

Lemma ln_below (x : R) : 0 < x -> ln x <= x - 1 ?= iff (x == 1).
Proof.
move=> x0; split; last first.
  apply/eqP/eqP => [|->]; last by rewrite ln1 subrr. have [->|] := eqVneq x 1; first by [].
  move=> x1 Q; have : ln x != 0 by rewrite -(inj_eq (@expR_inj R)) lnK ?expR0.
  by move=> /expR_above; rewrite lnK// Q addrCA subrr addr0 ltxx.
have [->|x1] := eqVneq x 1; first by rewrite ln1 subrr.
have : ln x != 0 by rewrite -(inj_eq (@expR_inj R)) lnK ?expR0.
by move=> /expR_above; rewrite lnK// => /ltW; rewrite ler_subr_addl.
Qed.

Lemma gibbs a c y : 0 < a -> 0 < c -> 0 < y ->
  a * - ln (a / c) <= a * - ln y + (c * y - a) ?= iff (y == a / c).
Proof.
move=> a0 c0 y0; have s0 : 0 < a / c by rewrite divr_gt0.
have L := ln_below (divr_gt0 y0 s0); rewrite ln_div ?posrE// in L. have E : (y / (a / c) == 1) = (y == a / c).
  by apply/eqP/eqP => [Q|->]; [rewrite -[y](divfK (lt0r_neq0 s0)) Q mul1r|rewrite divff ?gt_eqF].
have F : y / (a / c) - 1 = (c * y - a) / a.
  by rewrite invf_div mulrBl divff ?gt_eqF// mulrA [y * c]mulrC.
have {L E F} : a * (ln y - ln (a / c)) <= a * ((c * y - a) / a) ?= iff (y == a / c).
  by rewrite (mono_leif (ler_pmul2l a0)) -E -F.
rewrite mulrBr [a * (_ / a)]mulrC divfK ?(lt0r_neq0 a0)// => L.
by rewrite !mulrN -(mono_leif (ler_add2l (a * ln y))) addNKr.
Qed.

Lemma gibbs_extended a c y : 0 <= a -> 0 < c -> 0 <= y ->
  ((a * - ln (a / c))%:E <= a%:E * - elog y + (c * y - a)%:E)%E /\
  ((a * - ln (a / c))%:E = a%:E * - elog y + (c * y - a)%:E -> y = a / c)%E.
Proof.
rewrite le_eqVlt => /predU1P[<-|a0] c0 y0.
  rewrite !mul0r mul0e add0e subr0 lee_fin mulr_ge0 ?(ltW c0)//; split=> // -[] /esym/eqP.
  by rewrite mulf_eq0 (gt_eqF c0) => /eqP.
move: y0; rewrite le_eqVlt => /predU1P[<-|y0].
  by rewrite /elog ltxx /= gt0_muley ?lte_fin// addye// leey.
rewrite /elog y0 -EFinN -EFinM -EFinD lee_fin; have [L Q] := gibbs a0 c0 y0; split=> // -[] K.
by apply/eqP; rewrite -Q K.
Qed.

Lemma weighted_ge0 a y : 0 <= a -> y <= 1 -> (0 <= a%:E * - elog y)%E.
Proof.
move=> a0 y1; rewrite mule_ge0 ?lee_fin// /elog; case: ifP => // y0.
by rewrite -EFinN lee_fin oppr_ge0 -ln1 ler_ln ?posrE.
Qed.

(* −(a log y + b log(1 − y)), and its least value *)
Definition loss a b y : \bar R := (a%:E * - elog y + b%:E * - elog (1 - y))%E.
Definition least a b : R := a * - ln (a / (a + b)) + b * - ln (b / (a + b)).

Lemma weigh a c : 0 <= a -> 0 < c -> (a%:E * - elog (a / c) = (a * - ln (a / c))%:E)%E.
Proof. rewrite le_eqVlt => /predU1P[<-|a0] c0; first by rewrite mul0r mul0e mul0r. by rewrite /elog divr_gt0. Qed.
Lemma complement a b : 0 < a + b -> 1 - a / (a + b) = b / (a + b).
Proof. by move=> c0; rewrite -[1](divff (negbT (gt_eqF c0))) -mulrBl [a + b]addrC addrK [b + a]addrC. Qed.
Lemma loss_least a b : 0 <= a -> 0 <= b -> 0 < a + b -> loss a b (a / (a + b)) = (least a b)%:E.
Proof. by move=> a0 b0 c0; rewrite /loss complement// !weigh. Qed.

Lemma pointwise a b y : 0 <= a -> 0 <= b -> 0 < a + b -> 0 <= y <= 1 ->
  ((least a b)%:E <= loss a b y)%E /\ ((least a b)%:E = loss a b y -> y = a / (a + b)).
Proof.
move=> a0 b0 c0 /andP[y0 y1]. have [L1 Q1] := gibbs_extended a0 c0 y0. have z0 : 0 <= 1 - y by rewrite subr_ge0.
have [L2 _] := gibbs_extended b0 c0 z0. move: L1 Q1 L2; set k := (a + b) * y - a.
have -> : (a + b) * (1 - y) - b = - k.
  by rewrite /k mulrBr mulr1 opprB addrAC addrK.
set U := (_ * - elog y)%E; set W := (_ * - elog (1 - y))%E => L1 Q1 L2.
have E : loss a b y = ((U + k%:E) + (W + (- k)%:E))%E.
  by rewrite addeACA -EFinD subrr adde0.
rewrite E EFinD; split; first exact: lee_add.
move=> K; apply: Q1; apply/eqP; rewrite eq_le L1 /= leNgt; apply/negP => L.
by move: K; apply/eqP; rewrite lt_eqF//; exact: lte_le_add.
Qed.

Lemma measurable_elog : measurable_fun setT elog.
Proof.
have E : (fun y : R => 0 < y) @^-1` [set true] = `]0, +oo[%classic.
  by apply/seteqP; split => y /=; rewrite in_itv /= andbT.
apply: measurable_fun_if => //; last exact: measurable_fun_cst.
- by apply: (@measurable_fun_bool _ _ _ _ true); rewrite E; exact: measurable_itv.
- apply/EFin_measurable_fun; rewrite setTI E.
  apply: open_continuous_measurable_fun; first exact: interval_open.
  by move=> y; rewrite inE /= in_itv /= andbT => y0; exact: continuous_ln.
Qed.

Lemma measurable_inv : measurable_fun setT (fun y : R => y^-1).
Proof.
rewrite (_ : (fun y => y^-1) = fun y => if y == 0 then 0 else y^-1); last first.
  by apply/funext => y; case: eqP => // ->; rewrite invr0.
apply: measurable_fun_if => //.
- apply: (@measurable_fun_bool _ _ _ _ true).
  by rewrite (_ : _ @^-1` _ = [set 0]) //; apply/seteqP; split => y /= /eqP.
- exact: measurable_fun_cst.
- rewrite setTI (_ : _ @^-1` _ = ~` [set 0]); last first.
    by apply/seteqP; split => y /= => [/negbT/eqP|/eqP/negbTE].
  apply: open_continuous_measurable_fun.
    by rewrite openC; exact: closed_eq.
  by move=> y; rewrite inE => /eqP; exact: inv_continuous.
Qed.

End Point.

Section Densities.
Context d (T : measurableType d) (R : realType).
Variable mu : {measure set T -> \bar R}.
Implicit Types p q pd pg D : T -> R.

Definition density p :=
  [/\ measurable_fun setT p, (forall x, 0 <= p x) & (\int[mu]_x (p x)%:E = 1)%E].

Definition discriminator D := measurable_fun setT D /\ forall x, 0 <= D x <= 1.

(* E_{x ∼ p} f(x) *)
Definition E p (f : T -> \bar R) : \bar R := (\int[mu]_x ((p x)%:E * f x))%E.

Definition V pd pg D : \bar R := (E pd (fun x => elog (D x)) + E pg (fun x => elog (1 - D x)))%E.

(* Eq. (2); 0 where both are 0 *)
Definition D_star pd pg x : R := pd x / (pd x + pg x).

(* Eq. (4) *)
Definition C pd pg : \bar R :=
  (E pd (fun x => elog (pd x / (pd x + pg x))) + E pg (fun x => elog (pg x / (pd x + pg x))))%E.

Lemma measurable_weighted p D : measurable_fun setT p -> measurable_fun setT D ->
  measurable_fun setT (fun x => (p x)%:E * - elog (D x))%E.
Proof.
move=> mp mD; apply: emeasurable_funM; first exact/EFin_measurable_fun.
by apply: emeasurable_funN => //; exact: (measurable_fun_comp (@measurable_elog R) mD).
Qed.

Lemma measurable_quotient p q : measurable_fun setT p -> measurable_fun setT q ->
  measurable_fun setT (fun x => p x / (p x + q x)).
Proof.
move=> mp mq; apply: measurable_funM => //.
exact: (measurable_fun_comp (@measurable_inv R) (measurable_funD mp mq)).
Qed.

Lemma D_star_discriminator pd pg : density pd -> density pg -> discriminator (D_star pd pg).
Proof.
move=> [md d0 _] [mg g0 _]; split=> [|x]; first exact: measurable_quotient.
have := addr_ge0 (d0 x) (g0 x); rewrite /D_star le_eqVlt => /predU1P[<-|c0].
  by rewrite invr0 mulr0 lexx ler01.
by rewrite divr_ge0 ?(ltW c0)// ler_pdivr_mulr// mul1r ler_addl g0.
Qed.

(* V = −∫ loss *)
Definition total pd pg D : \bar R := (\int[mu]_x loss (pd x) (pg x) (D x))%E.

Lemma measurable_loss pd pg D : measurable_fun setT pd -> measurable_fun setT pg ->
  measurable_fun setT D -> measurable_fun setT (fun x => loss (pd x) (pg x) (D x)).
Proof.
move=> md mg mD; apply: emeasurable_funD; first exact: measurable_weighted.
apply: (measurable_weighted (D := fun x => 1 - D x)) => //.
by apply: measurable_funB => //; exact: measurable_fun_cst.
Qed.

Lemma loss_ge0 a b (y : R) : 0 <= a -> 0 <= b -> 0 <= y <= 1 -> (0 <= loss a b y)%E.
Proof.
move=> a0 b0 /andP[y0 y1]; rewrite /loss adde_ge0//; first exact: weighted_ge0.
by apply: weighted_ge0; rewrite // ler_subl_addr ler_addl.
Qed.

Lemma E_opp p D : (forall x, 0 <= p x) -> (forall x, D x <= 1) ->
  E p (fun x => elog (D x)) = (- \int[mu]_x ((p x)%:E * - elog (D x)))%E.
Proof.
move=> p0 D1; rewrite -integral_ge0N => [|x _]; last exact: weighted_ge0.
by apply: eq_integral => x _; rewrite muleN oppeK.
Qed.

Lemma V_total pd pg D : density pd -> density pg -> discriminator D -> V pd pg D = (- total pd pg D)%E.
Proof.
move=> [md d0 _] [mg g0 _] [mD D01]. have D1 x : D x <= 1 by have /andP[] := D01 x.
have D1' x : 1 - D x <= 1 by rewrite ler_subl_addr ler_addl; have /andP[] := D01 x.
have m1 : measurable_fun setT (fun x => 1 - D x).
  by apply: measurable_funB => //; exact: measurable_fun_cst.
rewrite /V (E_opp d0 D1) (E_opp g0 D1') /total ge0_integralD//.
- have Opp (u v : \bar R) : (0 <= u -> 0 <= v -> - u - v = - (u + v))%E.
    by move: u v => [u| |] [v| |] // _ _; rewrite oppeD.
  by rewrite Opp// integral_ge0// => x _; exact: weighted_ge0.
- by move=> x _; exact: weighted_ge0.
- exact: measurable_weighted.
- by move=> x _; exact: weighted_ge0.
- exact: (measurable_weighted (D := fun x => 1 - D x)).
Qed.

Lemma ae_impl (P Q : T -> Prop) : (forall x, P x -> Q x) ->
  {ae mu, forall x, P x} -> {ae mu, forall x, Q x}.
Proof. by move=> PQ [N [mN N0 PN]]; exists N; split=> // x nQ; apply: PN => /PQ. Qed.

Lemma squeeze (f g : T -> \bar R) : measurable_fun setT f -> measurable_fun setT g ->
  (forall x, 0 <= f x)%E -> (forall x, f x <= g x)%E -> (forall x, f x \is a fin_num) ->
  (\int[mu]_x f x < +oo)%E -> (\int[mu]_x g x = \int[mu]_x f x)%E -> {ae mu, forall x, f x = g x}.
Proof.
move=> mf mg f0 fg ff If Ig; pose h x := (g x - f x)%E. have h0 x : (0 <= h x)%E by rewrite sube_ge0 ?ff.
have mh : measurable_fun setT h by exact: emeasurable_funB.
have F : (\int[mu]_x f x \is a fin_num)%E by rewrite ge0_fin_numE// integral_ge0.
have : (\int[mu]_x `|h x| = 0)%E.
  rewrite (eq_integral h) => [|x _]; last by rewrite gee0_abs.
  move: Ig; rewrite (eq_integral (fun x => f x + h x)%E) => [|x _]; last by rewrite addeC subeK.
  rewrite ge0_integralD// => Q. move: (congr1 (fun z => z - \int[mu]_x f x)%E Q) => /=.
  by rewrite [X in (X - _)%E = _ -> _]addeC addeK// subee.
move/(ae_eq_integral_abs _ measurableT mh); apply: ae_impl => x /(_ Logic.I) hx.
by rewrite -[g x](subeK _ (ff x)) -/(h x) hx add0e.
Qed.

Lemma loss_pointwise pd pg D x : 0 <= pd x -> 0 <= pg x -> 0 <= D x <= 1 ->
  [/\ loss (pd x) (pg x) (D_star pd pg x) \is a fin_num,
     (loss (pd x) (pg x) (D_star pd pg x) <= loss (pd x) (pg x) (D x))%E &
     loss (pd x) (pg x) (D_star pd pg x) = loss (pd x) (pg x) (D x) <->
     (0 < pd x + pg x -> D x = D_star pd pg x)].
Proof.
move=> d0 g0 D01; have := addr_ge0 d0 g0; rewrite le_eqVlt => /predU1P[/esym/eqP|c0].
  rewrite paddr_eq0// => /andP[/eqP -> /eqP ->]. by rewrite /loss !mul0e adde0; split=> //; rewrite addr0 ltxx.
have [L Q] := pointwise d0 g0 c0 D01; rewrite /D_star loss_least//; split=> //; split=> [/Q|/(_ c0) ->]//.
by rewrite loss_least.
Qed.

Lemma ln_4 : ln 4 = ln 2 + ln 2 :> R.
Proof. by rewrite -lnM ?posrE ?ltr0n// -natrM. Qed.

Lemma total_half pd pg : density pd -> density pg -> total pd pg (cst 2^-1) = (ln 4)%:E.
Proof.
move=> [md d0 d1] [mg g0 g1]; have two0 : (0 : R) < 2 by rewrite ltr0n.
rewrite /total (eq_integral (fun x => (ln 2)%:E * ((pd x)%:E + (pg x)%:E))%E) => [|x _]; last first.
  have E1 : 1 - 2^-1 = 2^-1 :> R by rewrite {1}(splitr 1) div1r addrK.
  by rewrite /loss /= E1 /elog invr_gt0 two0 lnV ?posrE// -EFinN opprK -!EFinM -!EFinD -mulrDl mulrC.
have md' := (EFin_measurable_fun setT pd).2 md; have mg' := (EFin_measurable_fun setT pg).2 mg.
have d0' x : (0 <= (pd x)%:E)%E by rewrite lee_fin. have g0' x : (0 <= (pg x)%:E)%E by rewrite lee_fin.
rewrite ge0_integralM_EFin//; last 3 first.
- by move=> x _; rewrite adde_ge0.
- exact: emeasurable_funD.
- by rewrite -ln1 ler_ln ?posrE// ler1n.
by rewrite ge0_integralD// d1 g1 -EFinD -EFinM mulrDr mulr1 -ln_4.
Qed.

Lemma half_discriminator : discriminator (cst 2^-1).
Proof. split=> [|x]; first exact: measurable_fun_cst. by rewrite /= invr_ge0 ler0n invf_le1 ?ltr0n// ler1n. Qed.

Lemma total_finite pd pg : density pd -> density pg -> (total pd pg (D_star pd pg) < +oo)%E.
Proof.
move=> Hd Hg; have [[md d0 _] [mg g0 _]] := (Hd, Hg).
have [HS PS] := D_star_discriminator Hd Hg; have [HF PF] := half_discriminator.
apply: (@le_lt_trans _ _ (total pd pg (cst 2^-1))); last by rewrite total_half// ltey.
apply: ge0_le_integral => //; last by move=> x _; have [] := loss_pointwise (d0 x) (g0 x) (PF x).
- by move=> x _; exact: loss_ge0.
- exact: measurable_loss.
- by move=> x _; exact: loss_ge0.
- exact: measurable_loss.
Qed.

(* Proposition 1, for densities: D*_G is optimal, and the only optimum almost everywhere on the supports. *)
Theorem proposition_1 pd pg D : density pd -> density pg -> discriminator D ->
  (V pd pg D <= V pd pg (D_star pd pg))%E /\
  (V pd pg D = V pd pg (D_star pd pg) <-> {ae mu, forall x, 0 < pd x + pg x -> D x = D_star pd pg x}).
Proof.
move=> Hd Hg HD; have HS := D_star_discriminator Hd Hg. have [[md d0 _] [mg g0 _]] := (Hd, Hg).
have [HL PS] := HS; have [mD PD] := HD. have mS := measurable_loss md mg HL; have mDl := measurable_loss md mg mD.
have LD x := loss_pointwise (d0 x) (g0 x) (PD x).
have S0 x : (0 <= loss (pd x) (pg x) (D_star pd pg x))%E by exact: loss_ge0.
have D0 x : (0 <= loss (pd x) (pg x) (D x))%E by exact: loss_ge0. have Fin := total_finite Hd Hg.
rewrite !V_total//; split.
  by rewrite lee_opp2; apply: ge0_le_integral => // x _; have [] := LD x.
split=> [/eqe_oppP Q|Q].
- have A : {ae mu, forall x, loss (pd x) (pg x) (D_star pd pg x) = loss (pd x) (pg x) (D x)}.
    by apply: squeeze => // x; have [] := LD x.
  by apply: ae_impl A => x; have [_ _ [+ _]] := LD x.
- congr (- _)%E; apply: ge0_ae_eq_integral => //. by apply: ae_impl Q => x K _; have [_ _ [_ ->]] := LD x.
Qed.

(* Eq. (4) *)
Theorem eq_4 pd pg : density pd -> density pg ->
  [/\ discriminator (D_star pd pg), V pd pg (D_star pd pg) = C pd pg &
     forall D, discriminator D -> (V pd pg D <= C pd pg)%E].
Proof.
move=> Hd Hg; have HS := D_star_discriminator Hd Hg. have Q : V pd pg (D_star pd pg) = C pd pg.
  move: Hd Hg => [_ d0 _] [_ g0 _]; rewrite /V /C; congr (_ + _)%E; apply: eq_integral => x _.
  have := addr_ge0 (d0 x) (g0 x); rewrite le_eqVlt => /predU1P[/esym/eqP|c0].
    by rewrite paddr_eq0// => /andP[_ /eqP ->]; rewrite !mul0e.
  by rewrite /D_star complement.
by split=> // D HD; rewrite -Q; exact: (proposition_1 Hd Hg HD).1.
Qed.

Lemma V_half pd pg : density pd -> density pg -> V pd pg (cst 2^-1) = (- ln 4)%:E.
Proof. by move=> Hd Hg; rewrite V_total ?total_half//; exact: half_discriminator. Qed.

Lemma half_iff (a b : R) : 0 <= a -> 0 <= b -> (0 < a + b -> 2^-1 = a / (a + b)) <-> b = a.
Proof.
have two0 : (2 : R) != 0 by rewrite pnatr_eq0. move=> a0 b0; split=> [|-> c0]; last first.
  rewrite -mulr2n -[a *+ 2]mulr_natr invfM mulrA divff ?mul1r//.
  by move: c0; rewrite -mulr2n pmulrn_lgt0// => /lt0r_neq0.
have := addr_ge0 a0 b0; rewrite le_eqVlt => /predU1P[/esym/eqP + _|c0 /(_ c0) Q].
  by rewrite paddr_eq0// => /andP[/eqP -> /eqP ->].
have : a + b = a + a.
  by rewrite -mulr2n -[a *+ 2]mulr_natr -[in RHS](divfK (lt0r_neq0 c0) a) -Q mulrAC mulVf ?mul1r.
by move/addrI.
Qed.

(* Theorem 1, for densities *)
Theorem theorem_1 pd pg : density pd -> density pg ->
  [/\ (forall q, density q -> (C pd pg <= C pd q)%E) <-> {ae mu, forall x, pg x = pd x},
     C pd pg = (- ln 4)%:E <-> {ae mu, forall x, pg x = pd x} & ((- ln 4)%:E <= C pd pg)%E].
Proof.
move=> Hd Hg; have HF := half_discriminator. have Below q : density q -> ((- ln 4)%:E <= C pd q)%E.
  by move=> Hq; have [_ _ /(_ _ HF)] := eq_4 Hd Hq; rewrite V_half.
have Only q : density q -> C pd q = (- ln 4)%:E <-> {ae mu, forall x, q x = pd x}.
  move=> Hq; have [_ Q _] := eq_4 Hd Hq; have [_] := proposition_1 Hd Hq HF.
  rewrite Q V_half// => [[K1 K2]]; have [[_ d0 _] [_ q0 _]] := (Hd, Hq); split=> [/esym /K1|K].
  - by apply: ae_impl => x /(half_iff (d0 x) (q0 x)).
  - by apply/esym/K2; apply: ae_impl K => x /(half_iff (d0 x) (q0 x)).
split; [|exact: Only|exact: Below]; split=> [K|/(Only _ Hg) -> q]; last exact: Below.
apply/(Only _ Hg)/eqP; rewrite eq_le (Below _ Hg) andbT. by rewrite -((Only _ Hd).2 _) ?K//; exact: aeW.
Qed.

(* log(a/b), +∞ where b = 0 *)
Definition log_ratio (a b : R) : \bar R := if 0 < b then elog (a / b) else +oo%E.

Definition KL p q : \bar R := E p (fun x => log_ratio (p x) (q x)).

Definition mean p q x : R := (p x + q x) / 2.

Definition JSD p q : \bar R := (2^-1%:E * KL p (mean p q) + 2^-1%:E * KL q (mean p q))%E.

Lemma KL_mean p q m : density p -> density q -> (forall x, m x = (p x + q x) / 2) ->
  exists2 r : R, E p (fun x => elog (p x / (p x + q x))) = r%:E & KL p m = (ln 2 + r)%:E.
Proof.
move=> Hp Hq Hm; have [[mp p0 p1] [mq q0 _]] := (Hp, Hq); have [HS PS] := D_star_discriminator Hp Hq.
have S1 x : D_star p q x <= 1 by have /andP[] := PS x. pose h x := ((p x)%:E * - elog (D_star p q x))%E.
have h0 x : (0 <= h x)%E by exact: weighted_ge0. have mh : measurable_fun setT h by exact: measurable_weighted.
have Fh : (\int[mu]_x h x < +oo)%E.
  apply: le_lt_trans (total_finite Hp Hq); apply: ge0_le_integral => //.
  - by move=> x _; exact: loss_ge0.
  - exact: measurable_loss.
  - by move=> x _; rewrite /loss lee_addl// weighted_ge0// ler_subl_addr ler_addl; have /andP[] := PS x.
have Ih : mu.-integrable setT h.
  by split=> //; rewrite (eq_integral h) => [|x _]//; rewrite gee0_abs.
pose u x := (ln 2 * p x)%:E. have l2 : 0 <= ln 2 :> R by rewrite -ln1 ler_ln ?posrE ?ltr0n// ler1n.
have u0 x : (0 <= u x)%E by rewrite lee_fin mulr_ge0. have mu' : measurable_fun setT u.
  by apply/EFin_measurable_fun; apply: measurable_funrM.
have Eu : (\int[mu]_x u x = (ln 2)%:E)%E.
  under eq_integral do rewrite /u EFinM.
  rewrite ge0_integralM_EFin// ?p1 ?mule1//; last exact/EFin_measurable_fun. by move=> x _; rewrite lee_fin.
have Iu : mu.-integrable setT u.
  by split=> //; rewrite (eq_integral u) => [|x _]; [rewrite Eu ltey|rewrite gee0_abs].
have : (\int[mu]_x h x \is a fin_num)%E by rewrite ge0_fin_numE// integral_ge0.
move=> /fineK Eh; exists (- fine (\int[mu]_x h x)%E).
  by rewrite E_opp// EFinN Eh.
rewrite /KL /E (eq_integral (u \- h)%E) => [|x _]; first by rewrite integralB// Eu -Eh.
rewrite /= /u /h Hm; have := addr_ge0 (p0 x) (q0 x); rewrite le_eqVlt => /predU1P[/esym/eqP|c0].
  by rewrite paddr_eq0// => /andP[/eqP -> _]; rewrite !mul0e mulr0 sube0.
rewrite weigh// /log_ratio divr_gt0 ?ltr0n//.
have := p0 x; rewrite le_eqVlt => /predU1P[<-|px]; first by rewrite mulr0 !mul0r mul0e sube0.
have -> : p x / ((p x + q x) / 2) = 2 * (p x / (p x + q x)).
  by rewrite invf_div mulrCA.
rewrite /elog mulr_gt0 ?divr_gt0 ?ltr0n// lnM ?posrE ?divr_gt0 ?ltr0n//.
by rewrite -EFinM -EFinB mulrDr mulrN opprK [p x * ln 2]mulrC.
Qed.

Lemma KL_means pd pg : density pd -> density pg -> exists k l : R,
  [/\ KL pd (mean pd pg) = k%:E, KL pg (mean pd pg) = l%:E & C pd pg = (- ln 4 + (k + l))%:E].
Proof.
move=> Hd Hg; have [r Er Kr] := KL_mean Hd Hg (fun x => erefl (mean pd pg x)).
have [x|s Es Ks] := @KL_mean pg pd (mean pd pg) Hg Hd; first by rewrite /mean addrC.
exists (ln 2 + r), (ln 2 + s); split=> //.
rewrite /C Er; have -> : (fun x => elog (pg x / (pd x + pg x))) = (fun x => elog (pg x / (pg x + pd x))).
  by apply/funext => x; rewrite addrC.
by rewrite Es -EFinD addrACA ln_4 addKr.
Qed.

(* Eq. (5), for densities *)
Theorem eq_5 pd pg : density pd -> density pg ->
  (C pd pg = (- ln 4)%:E + (KL pd (mean pd pg) + KL pg (mean pd pg)))%E.
Proof. by move=> Hd Hg; have [k [l [-> -> ->]]] := KL_means Hd Hg. Qed.

(* Eq. (6), for densities *)
Theorem eq_6 pd pg : density pd -> density pg -> (C pd pg = (- ln 4)%:E + 2%:E * JSD pd pg)%E.
Proof.
move=> Hd Hg; rewrite /JSD; have [k [l [-> -> ->]]] := KL_means Hd Hg.
transitivity (- ln 4 + 2 * (2^-1 * k + 2^-1 * l))%:E => //. by rewrite -mulrDr mulrA divff ?mul1r// pnatr_eq0.
Qed.

Theorem jsd_nonnegative p q : density p -> density q ->
  (0 <= JSD p q)%E /\ (JSD p q = 0%E <-> {ae mu, forall x, q x = p x}).
Proof.
move=> Hp Hq; have [_ <-] := theorem_1 Hp Hq; rewrite /JSD.
have [k [l [-> -> ->]]] := KL_means Hp Hq; rewrite -!EFinM -EFinD -mulrDr !lee_fin ler_addl => K.
split; first by rewrite mulr_ge0// invr_ge0 ler0n.
split=> [[] /eqP|[] /eqP]; rewrite ?mulf_eq0 ?invr_eq0 ?pnatr_eq0 /=.
  by move/eqP => ->; rewrite addr0.
by rewrite -subr_eq0 opprK addrC addNKr => /eqP ->; rewrite mulr0.
Qed.

End Densities.
