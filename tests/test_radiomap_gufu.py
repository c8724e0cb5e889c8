"""The checks that the GUFU specification asks for (section 9), at small sizes."""

import numpy as np
import pytest
from whowhere.models.radiomap.gufu_parts import (
    ap_features,
    fairness_goodness,
    predicted_local,
    predicted_paper,
    relinked,
    virtual_edges,
    weights,
)

RNG = np.random.default_rng(3)
TOY = np.array([[80, 0], [60, 90], [0, 30]]) / 90  # samples s1 to s3, access points a and b


def test_weights_are_rss_plus_120_and_silence_is_none():
    assert weights(np.array([[-50.0, np.nan, -120.0]], np.float32)).tolist() == [[70.0, 0.0, 0.0]]


def test_an_access_point_is_the_weighted_mean_of_who_hears_it():
    weight = np.array([[60.0, 0.0], [20.0, 40.0]])
    features = np.array([[1.0, 2.0], [5.0, 6.0]])
    assert np.allclose(ap_features(weight, features), [[2.0, 3.0], [5.0, 6.0]])


def test_virtual_edges_are_symmetric_above_tau_and_share_an_access_point():
    features, weight = RNG.normal(size=(60, 3)), RNG.uniform(0, 1, (60, 5)) * (RNG.random((60, 5)) < 0.4)
    edges = virtual_edges(features, weight, features, weight)
    pairs = set(zip(edges.first.tolist(), edges.second.tolist(), strict=True))
    assert pairs
    assert all((b, a) in pairs and a != b for a, b in pairs)
    assert edges.cosine.min() > 0.9
    assert all(((weight[a] > 0) & (weight[b] > 0)).any() for a, b in pairs)


def test_the_toy_of_fairness_and_goodness():
    fair_s, fair_a, good_s, good_a = fairness_goodness(TOY)
    assert np.allclose(good_a, [0.4673, 0.4608], atol=1e-4)
    assert np.allclose(fair_a, [0.9400, 0.8400], atol=1e-4)
    assert np.allclose(good_s, [0.8356, 0.7333, 0.2800], atol=1e-4)
    assert np.allclose(fair_s, [0.5784, 0.6307, 0.8725], atol=1e-4)
    told = predicted_paper(TOY)
    assert told[2, 0] == pytest.approx(0.3355, abs=1e-4)
    assert told[0, 1] == pytest.approx(0.4842, abs=1e-4)
    assert (told > 0).all()  # so theta = 0 adds every candidate: the second defect


def test_edges_are_added_from_what_new_neighbours_hear_and_removed_only_when_five_deny():
    old_x = new_x = np.ones((6, 2))
    old_weight, new_weight = np.full((6, 2), 50.0), np.tile([[0.0, 60.0]], (6, 1))
    old_weight[:, 1] = 0.0
    shared = np.ones((6, 1))
    edges = virtual_edges(old_x, shared, new_x, shared)
    told, neighbours = predicted_local(edges, 6, new_weight / 60, np.ones(6))
    after = relinked(old_weight, told, neighbours, 60.0, np.array([False, True]))
    assert after.tolist() == [[0.0, 60.0]] * 6
    few = relinked(old_weight, told, np.full(6, 2), 60.0, np.array([False, True]))
    assert (few[:, 0] == 50.0).all()  # merely unheard at two of five: it stays


def test_the_order_of_access_points_changes_nothing():
    order = np.array([1, 0])
    first, mixed = predicted_paper(TOY), predicted_paper(TOY[:, order])
    assert np.allclose(first[:, order], mixed)


class TestNetworks:
    """With torch, which only training needs."""

    @pytest.fixture(autouse=True)
    def _torch(self):
        pytest.importorskip("torch", reason="torch comes with the extra `train`")

    def made(self):
        from whowhere.models.radiomap.gufu_nets import NODE, graph

        rng = np.random.default_rng(1)
        place = rng.uniform(0, 1, (40, 2))
        weight = np.clip(
            90 - 120 * np.hypot(*(place[:, None] - rng.uniform(0, 1, (6, 2))[None]).transpose(2, 0, 1)), 0, 90
        )
        nodes = rng.normal(size=(46, NODE))
        return nodes, graph(weight, virtual_edges(weight, weight, weight, weight, tau=0.95))

    def alike(self, h: np.ndarray) -> float:
        return float((h @ h.T)[np.triu_indices(len(h), 1)].mean())

    def test_embeddings_have_unit_length_and_the_literal_loss_collapses(self):
        from whowhere.models.radiomap.gufu_nets import EdgeSage

        nodes, net = self.made()
        found = {}
        for loss in ("literal", "contrastive"):
            sage = EdgeSage(seed=0)
            sage.fit(nodes, net, steps=300, seed=0, loss=loss)
            h = sage.embeddings(nodes, net)
            assert np.allclose(np.linalg.norm(h, axis=1), 1.0, atol=1e-5)
            found[loss] = self.alike(h)
        assert found["literal"] > 0.99
        assert found["contrastive"] < 0.97

    def test_an_update_removes_what_is_gone_adds_what_is_new_and_is_repeatable(self):
        from test_radiomap_update import NAMES, old_map, walked
        from whowhere.models.radiomap.gufu_update import gufu_updated

        scans, _ = walked()
        first, again = (gufu_updated(old_map(), scans, seed=1, references=60).map for _ in range(2))
        assert first.to_bytes() == again.to_bytes()
        assert not set(first.bssids) & set(NAMES[:8])
        assert set(first.bssids) & set(NAMES[16:])
        assert len(first.position_m) == len(old_map().position_m)
