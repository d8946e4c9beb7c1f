"""Verdicts on claims: the rule by itself, and claims of the paper on results made by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workflow.report.reporting_tree import paper_config
from tests.workflow.verdicts.verdict_cases import (
    CONFIG,
    ISIC_MTL,
    as_printed,
    claim_of,
    made,
    ratios,
)
from workflow.audit.paper import published_paper
from workflow.metrics.against import CANNOT_TELL, ONE_SEED, Printing, against
from workflow.metrics.intervals import Design, Difference, estimate
from workflow.verdicts.claims import beaten, claim_verdicts, decide

# Around the 70 of the others, and well below a gain of 3.1.
CLOSE = ratios(70.0, sd=0.3, key=5)


def isic(metric="ji", **levels):
    """A level for each multi-task method on ISIC 2017: 70 where none is given."""
    return {("isic2017", name, metric): levels.get(name, 70.0) for name in ISIC_MTL}


def gain_of(results):
    """A claim of 3.1 JI and 2.2 DSC over Gende et al., of the better of two variants."""
    (claim,) = (one for one in published_paper().claims if one.id == "mtl-isic-gain")
    claim = replace(claim, left=("resformer_seq", "resformer_par"))
    (found,) = claim_verdicts(CONFIG, results, [claim], {claim.id: "agrees"})
    return found


class TestClaims:
    def gain(self, **levels):
        """The claim, where both metrics have these levels."""
        return gain_of(made(isic("ji", **levels) | isic("dsc", **levels)))

    def test_the_better_variant_is_our_method(self):
        found = self.gain(resformer_seq=60.0, resformer_par=73.1)
        assert found.verdict == "holds"
        first, second = found.comparisons
        assert (first.left, first.right) == ("resformer_par", "gende")
        assert first.measured.value == pytest.approx(3.1, abs=0.05)
        assert (first.stated, second.stated) == ("reproduced", "reproduced")
        assert (found.direction, found.size) == ("holds", "reproduced")

    @pytest.mark.parametrize(
        ("level", "verdict", "direction", "size"),
        [
            (73.1, "holds", "holds", "reproduced"),
            (81.6, "direction holds, size differs", "holds", "differs"),
            (ratios(73.1, sd=0.7, key=9), "direction holds, size open", "holds", CANNOT_TELL),
            (
                ratios(70.0, sd=0.3, key=5),
                "direction open, size differs",
                "not resolvable",
                "differs",
            ),
            (ratios(70.0, sd=5.0), "not resolvable", "not resolvable", CANNOT_TELL),
            (60.0, "does not hold", "does not hold", "differs"),
        ],
    )
    def test_direction_and_size_are_two_findings(self, level, verdict, direction, size):
        """A gain of 11.6 is no support for one of 3.1, and is not listed as if it were."""
        levels = isic("ji", resformer_seq=60.0, resformer_par=level)
        levels |= isic("dsc", resformer_seq=60.0, resformer_par=level)
        found = gain_of(made(levels))
        assert (found.verdict, found.direction, found.size) == (verdict, direction, size)

    def test_one_seed_is_not_testable(self):
        one = {name: ratios(70.0, seeds=1) for name in ISIC_MTL}
        one["resformer_par"] = ratios(90.0, seeds=1)
        found = self.gain(**one)
        assert found.verdict == "not testable"
        assert ONE_SEED in found.comparisons[0].remark

    def test_a_notice_makes_it_not_testable_and_says_so(self):
        config = paper_config(notice="at another size, not comparable")
        both = isic("ji", resformer_par=80.0) | isic("dsc", resformer_par=80.0)
        for name in ("mtl-isic-gain", "mtl-isic-best-rival", "mtl-isic-segmentation-value"):
            found = claim_of(made(both, config), name, config)
            assert found.verdict == "not testable"
            assert "not comparable: at another size" in found.comparisons[0].remark

    def test_the_values_of_a_claim_share_its_level(self):
        """One that differs at 5 % does not when it is one of two: each may err in half as many."""
        for level in np.arange(78.6, 82.0, 0.1):
            one = against(estimate(ratios(level, sd=0.8), Design()), 78.6, Printing(True), Design())
            if one.verdict == "differs":
                break
        levels = isic("ji", resformer_par=ratios(level, sd=0.8))
        levels |= isic("dsc", resformer_par=ratios(86.6))
        found = claim_of(made(levels), "mtl-isic-segmentation-value")
        assert found.verdict == "not resolvable"

    def test_a_claim_fails_only_if_all_variants_are_beaten(self):
        assert self.gain(resformer_seq=60.0, resformer_par=65.0).verdict == "does not hold"
        wide = ratios(70.0, sd=5.0)
        found = self.gain(resformer_seq=60.0, resformer_par=wide)
        assert found.verdict == "not resolvable"

    def test_a_claim_with_several_comparisons(self):
        better, worse = {"resformer_seq": 72.6}, {"resformer_seq": 60.0, "resformer_par": 60.0}
        open_ = {"resformer_seq": ratios(70.5, sd=5.0), "resformer_par": ratios(69.5, sd=5.0)}
        for first, second, verdict in [
            (better, better, "holds"),
            (better, worse, "does not hold"),
            (open_, worse, "does not hold"),
            (better, open_, "not resolvable"),
        ]:
            results = made(isic("ji", **first) | isic("dsc", **second))
            assert gain_of(results).direction == verdict

    def test_a_missing_rival_leaves_a_claim_untested(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        name = "mtl-isic-best-rival"
        levels = isic("ji", gende=75.0) | isic("dsc", gende=75.0)
        assert claim_of(made(levels), name).verdict == "holds"
        for metric in ("ji", "dsc"):
            del levels["isic2017", "he", metric]
        found = claim_of(made(levels), name)
        assert found.verdict == "not testable"
        assert found.comparisons[0].remark == "He et al.: not run"
        assert found.comparisons[0].beaten == 2
        # Another rival that is better decides without the missing one.
        levels["isic2017", "tang", "ji"] = 80.0
        assert claim_of(made(levels), name).verdict == "does not hold"

    def test_a_missing_variant_leaves_a_claim_that_holds(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        levels = isic("ji", resformer_seq=75.0) | isic("dsc", resformer_seq=75.0)
        for metric in ("ji", "dsc"):
            del levels["isic2017", "resformer_par", metric]
        assert gain_of(made(levels)).direction == "holds"
        levels |= dict.fromkeys([("isic2017", "resformer_seq", m) for m in ("ji", "dsc")], 60.0)
        assert gain_of(made(levels)).verdict == "not testable"

    def test_a_stated_value(self):
        name, key = "mtl-cirrus-accuracy-value", ("retouch_cirrus", "resformer_par", "acc")
        for level, verdict in [
            (ratios(99.0), "holds"),
            (ratios(90.0), "does not hold"),
            (ratios(98.0, sd=3.0), "not resolvable"),
        ]:
            found = claim_of(made({key: level}), name)
            assert found.verdict == verdict
            assert found.comparisons[0].stated is None

    def test_claims_of_one_vendor_are_untested_where_others_are_not_run(self):
        config = paper_config(select={"datasets": ["retouch_cirrus"], "methods": None})
        found = claim_of(made(as_printed(), config), "dfe-seq", config)
        assert [one.comparison.dataset for one in found.comparisons] == ["retouch_cirrus"] * 2
        assert [one.verdict for one in found.comparisons] == ["holds", "holds"]
        assert found.verdict == "holds", "results of the others are there, whatever is selected"
        here = {key: v for key, v in as_printed().items() if key[0] == "retouch_cirrus"}
        assert claim_of(made(here, config), "dfe-seq", config).verdict == "not testable"


def pair(value, p):
    return Difference(value, 5, value - 1, value + 1, p, 1.0, 0.5, 4.0, ())


class TestDecision:
    def test_the_level_is_shared_by_the_methods_of_a_side(self):
        both = {("a", "x"): pair(2.0, 0.03), ("b", "x"): pair(2.0, 0.03)}
        assert decide(both, ["a"], ["x"], Design()) == "holds"
        assert decide(both, ["a", "b"], ["x"], Design()) == "not resolvable"

    def test_tests_against_a_claim_count_its_comparisons(self):
        lost = {("a", "x"): pair(-2.0, 0.03)}
        assert decide(lost, ["a"], ["x"], Design()) == "does not hold"
        assert decide(lost, ["a"], ["x"], Design(), count=2) == "not resolvable"

    def test_all_of_the_other_side_have_to_be_beaten(self):
        mixed = {("a", "x"): pair(2.0, 0.001), ("a", "y"): pair(2.0, 0.2)}
        assert decide(mixed, ["a"], ["x", "y"], Design()) == "not resolvable"
        assert beaten(mixed, "a", ["x", "y"], 0.05) == 1

    @given(st.data())
    def test_no_two_verdicts_at_once_and_missing_pairs_prove_nothing(self, data):
        left, right = ["a", "b"], ["x", "y", "z"]
        found = st.one_of(st.none(), st.builds(pair, st.floats(-5, 5), st.floats(0, 1)))
        pairs = {(a, b): data.draw(found) for a in left for b in right}
        word = decide(pairs, left, right, Design())
        turned = {(b, a): d and pair(-d.value, d.p) for (a, b), d in pairs.items()}
        opposite = {"holds": "does not hold", "does not hold": "holds"}
        assert decide(turned, right, left, Design()) == opposite.get(word, word)
        lost = data.draw(st.sampled_from(sorted(pairs)))
        fewer = {key: d for key, d in pairs.items() if key != lost}
        assert decide(fewer, left, right, Design()) in {word, "not testable"}
