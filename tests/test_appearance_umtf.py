"""UMTF as its specification says, section 7: equations, counts, masks, exact normalisation, ONNX against torch."""

from dataclasses import replace

import numpy as np
import pytest
from whowhere.models.appearance import generated, mmda, neighbours, scoring
from whowhere.models.appearance.tracklets import Fragment, Tracklets, Trajectory, candidates, fragments

torch = pytest.importorskip("torch", reason="training needs the train extra")

from whowhere.models.appearance import backbone, mmgn_network, trial, umtf  # noqa: E402

RNG = np.random.default_rng(0)


def test_equation_4_puts_one_into_the_last_bin():
    said = mmda.histogram(np.array([0, 0, 0, 0.25, 0.5, 1.0]))
    assert {int(k): pytest.approx(said[k]) for k in np.flatnonzero(said)} == {0: 0.5, 8: 1 / 6, 16: 1 / 6, 31: 1 / 6}


def test_equation_1_counts_fragments_that_a_cluster_meets():
    sets = [np.array([0, 4]), np.array([5]), np.array([1, 2, 6]), np.array([3])]
    assert mmda.owner_probability(np.array([0, 1, 2, 3]), sets) == 0.75
    assert mmda.owner_probability(np.array([0, 1, 3, 5]), sets) == 1.0


def test_equation_2_adapts_the_number_of_clusters():
    assert mmda.number_of_clusters(20, 5, 20, 3.0, 100) == 15
    assert mmda.number_of_clusters(20, 5, 20, 3.0, 9) == 9
    assert mmda.number_of_clusters(0, 5, 20, 3.0, 9) == 1


def test_fragments_merge_short_gaps_and_split_long_ones():
    t_s = np.arange(0.0, 60.0)
    x = np.where((t_s >= 10) & (t_s < 13) | (t_s >= 30) & (t_s < 40), 100.0, 0.0)
    walk = Trajectory("a", t_s, np.column_stack([x, 0 * x]))
    found = fragments([walk], np.zeros((1, 2)), 40.0, least_s=0.0)
    assert found == [Fragment(0, 0, 0.0, 29.0), Fragment(0, 0, 40.0, 59.0)]
    seen = Tracklets(np.array([0, 0, 1, 0]), np.array([1.0, 29.0, 3.0, 50.0]), np.array([2.0, 33.0, 4.0, 99.0]))
    assert [rows.tolist() for rows in candidates(found, seen)] == [[0], [3]]


def test_neighbours_are_mutual_and_never_of_one_camera():
    x, camera = RNG.normal(size=(60, 8)), RNG.integers(0, 4, 60)
    similarity = trial.cosines(x)
    found = neighbours.links(similarity, camera)
    assert (camera[found[:, 0]] != camera[found[:, 1]]).all()
    for i, j in found:
        assert similarity[i][camera == camera[j]].max() == similarity[i, j] == similarity[j][camera == camera[i]].max()
    order = RNG.permutation(60)
    again = order[neighbours.links(similarity[np.ix_(order, order)], camera[order])]
    assert set(map(tuple, np.sort(again, axis=1))) == set(map(tuple, found))


def test_a_component_with_two_at_one_time_is_cut_at_its_weakest_link():
    camera = np.array([0, 1, 2, 0])
    similarity = np.eye(4)
    for i, j, value in ((0, 1, 0.9), (1, 2, 0.5), (2, 3, 0.8)):
        similarity[i, j] = similarity[j, i] = value
    apart = np.zeros((4, 4), bool)
    apart[0, 3] = apart[3, 0] = True
    assert neighbours.classes(similarity, camera).tolist() == [0, 0, 0, 0]
    assert neighbours.classes(similarity, camera, apart, "split").tolist() == [0, 0, 1, 1]


@pytest.fixture(scope="module")
def said():
    """Affinities of 40 tracklets by 5 trajectories, and what the graph makes of them."""
    members = [np.sort(RNG.permutation(40)[: RNG.integers(2, 6)]) for _ in range(15)]
    clusters = [mmda.Cluster(k % 5, rows, float(RNG.random())) for k, rows in enumerate(members)]
    affinity = mmda.affinity(clusters)
    histograms, mean = mmda.histograms(affinity, 40, 5), mmda.average(affinity, 40, 5)
    return affinity, histograms, mean, mmgn_network.relations(histograms, mean)


def dense(affinity: mmda.Affinity) -> np.ndarray:
    cube = np.zeros((40, 40, 5))
    np.maximum.at(cube, (affinity.first, affinity.second, affinity.phone), affinity.probability)
    cube += cube.transpose(1, 0, 2)
    cube[np.arange(40), np.arange(40)] = 1.0
    return cube


def test_sparse_histograms_are_the_dense_ones(said):
    affinity, histograms, mean, _ = said
    cube = dense(affinity)
    full = np.tile(histograms.rows[-1], (40, 40, 1))
    full[histograms.pairs[:, 0], histograms.pairs[:, 1]] = histograms.rows[histograms.pair_row]
    expected = np.array([[mmda.histogram(cube[i, j]) for j in range(40)] for i in range(40)])
    assert full == pytest.approx(expected)
    assert mean == pytest.approx(cube.mean(axis=2))
    assert histograms.counts.sum() == 1600


def test_parameter_counts_are_the_derived_ones():
    def count(network) -> int:
        return sum(p.numel() for p in network.parameters())

    assert count(mmgn_network.Mgm(2048)) == 1_050_691
    network = mmgn_network.Mmgn(2048, 100)
    assert count(network.heads) == 6_304_146
    assert count(network.classify) == 307_879 + 200  # its normalisation stands there unused
    assert count(network) == 6_612_225
    assert count(backbone.ResNet50()) == 23_508_032  # torchvision's, without the last layer


def test_attention_is_zero_where_and_only_where_nobody_says_anything(said):
    _, _, mean, given = said
    for graph in ("mmgn", "gat"):
        head = mmgn_network.Mgm(16, 8, graph)
        weights = head.attention(head.project(torch.randn(40, 16)), given)
        assert ((weights == 0).numpy() == (mean == 0)).all()
        assert weights.sum(dim=1).detach().numpy() == pytest.approx(np.ones(40), abs=1e-5)
    printed = mmgn_network.Mgm(16, 8, "mmgn", "paper")
    assert (printed.attention(torch.randn(40, 8), given) > 0).all()


def test_counted_normalisation_is_exact(said):
    affinity, histograms, _, given = said
    ours, theirs = mmgn_network.CountedNorm(32), torch.nn.BatchNorm1d(32)
    cube = dense(affinity)
    said_of_all = np.array([mmda.histogram(cube[i, j]) for i in range(40) for j in range(40)], np.float32)
    rows = torch.from_numpy(said_of_all)
    expected = theirs(rows)
    got = ours(given.rows, given.counts)
    for i, j in ((0, 0), (3, 7)):
        row = np.flatnonzero((histograms.pairs == (i, j)).all(axis=1))
        ours_row = got[histograms.pair_row[row[0]]] if len(row) else got[-1]
        assert torch.allclose(ours_row, expected[40 * i + j], atol=1e-4)


def test_the_graph_does_not_mind_the_order_of_tracklets(said):
    affinity, _, _, given = said
    order = RNG.permutation(40)
    back = np.argsort(order)
    turned = affinity._replace(first=back[affinity.first], second=back[affinity.second])
    again = mmgn_network.relations(mmda.histograms(turned, 40, 5), mmda.average(turned, 40, 5))
    network, x = mmgn_network.Mmgn(16, 7, width=12), torch.randn(40, 16)
    with torch.no_grad():
        assert torch.allclose(network(x, given)[order], network(x[order], again), atol=1e-4)


def test_batch_hard_is_the_written_out_loss():
    x, labels = torch.randn(12, 5), torch.tensor([0, 1, 2] * 4)
    apart = torch.cdist(x, x)
    expected = np.mean([
        max(0.0, 0.4 + max(float(apart[a, p]) for p in range(12) if labels[p] == labels[a])
            - min(float(apart[a, n]) for n in range(12) if labels[n] != labels[a]))
        for a in range(12)
    ])  # fmt: skip
    assert float(umtf.batch_hard(x, labels, 0.4)) == pytest.approx(expected, abs=1e-4)


def test_adjusted_mutual_information_knows_chance_and_agreement():
    labels = RNG.integers(0, 8, 200)
    assert scoring.mutual_information(labels, (labels + 3) % 8) == pytest.approx(1.0)
    assert abs(scoring.mutual_information(labels, RNG.integers(0, 8, 200))) < 0.05


def test_phones_help_labels_when_looks_are_poor_and_change_nothing_without_phones():
    torch.set_num_threads(1)  # sums in another order teach the graph otherwise: 0.21 by one thread, 0.12 to 0.16 by two
    day = generated.make_day(4, people=30, phones=24, minutes=15)
    world = trial.world_of(day, 4, False, generated.Looks(size=64, tint=0.5, pose=1.8))
    x = world.inputs[:, 0].numpy().astype(float)
    ami = {}
    for name, recipe in trial.WAYS.items():
        labels = umtf.pseudo_labels(x, world, replace(recipe, level=True), [], 0)
        known = labels != neighbours.NONE
        ami[name] = scoring.mutual_information(labels[known], day.person[known])
    assert ami["UMTF"] > ami["visual labels"]
    assert ami["owners"] > ami["visual labels"] + 0.1
    alone = umtf.World(world.inputs, day.tracklets, (), day.camera_m, 14.0, 40.0)
    visual, graph = (umtf.pseudo_labels(x, alone, umtf.Recipe(labels=each), [], 0) for each in ("visual", "graph"))
    assert scoring.mutual_information(visual[visual >= 0], graph[visual >= 0] + 1) > 0.7


@pytest.mark.parametrize("kind", ["edge", "resnet50"])
def test_onnx_says_what_torch_says(kind):
    torch.manual_seed(1)
    network = backbone.backbone(kind, 128).eval()
    crop_px = backbone.EDGE_CROP_PX if kind == "edge" else (32, 64)
    content = backbone.exported(network, crop_px, {"name": "x"})
    import onnxruntime

    session = onnxruntime.InferenceSession(content)
    crops = torch.randn(5, 3, crop_px[1], crop_px[0])
    with torch.no_grad():
        expected = network(crops).numpy()
    (got,) = session.run(["embedding"], {"crops": crops.numpy()})
    assert np.abs(np.asarray(got) - expected).max() < 1e-4
    assert kind != "edge" or len(content) < 3_000_000


def test_weights_of_ones_own_can_be_named_and_wrong_ones_are_refused(tmp_path):
    torch.save(backbone.Edge().state_dict(), tmp_path / "own.pt")
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pt")
    (tmp_path / "noise.pt").write_bytes(b"no weights")
    backbone.backbone("edge", weights=tmp_path / "own.pt")
    for name in ("other.pt", "noise.pt"):
        with pytest.raises(ValueError, match="weights"):
            backbone.backbone("edge", weights=tmp_path / name)


@pytest.mark.long
def test_a_generated_day_with_every_way_of_labelling():
    """Two seeds, short: owners help most, and with phones at the test two in three places are right (results)."""
    torch.set_num_threads(1)
    for seed in (1, 2):
        done = trial.tried(seed, True, trial.WAYS, rounds=4)
        visual, owners = done["visual labels"], done["owners"]
        assert owners["alone"]["map"] > visual["alone"]["map"] + 0.03
        assert owners["with owners"]["rank_1"] > 0.75
        assert owners["with owners"]["map"] > 0.7
        assert owners["owners"]["precision"] > 0.9
        assert owners["owners"]["recall"] > 0.85
