"""Mission as its specification's checks say (section 7): symmetry, a start at the identity, learning by heart, ONNX."""

import numpy as np
import pytest
from whowhere.launch.generated_clips import clips
from whowhere.models.gait.identification import ranked
from whowhere.models.gait.mission_model import MissionModel

torch = pytest.importorskip("torch", reason="training needs the train extra")

from whowhere.models.gait import mission_pairs  # noqa: E402
from whowhere.models.gait.mission_export import exported  # noqa: E402
from whowhere.models.gait.mission_network import Exchange, Mission, Shape, attention  # noqa: E402
from whowhere.models.gait.mission_resnet import ResNetMap  # noqa: E402
from whowhere.models.gait.mission_training import (  # noqa: E402
    Recipe,
    contrastive_loss,
    pose_loss,
    tensors,
    train,
    triplet_loss,
)

SMALL = Shape(pixels=4)


@pytest.fixture(scope="module")
def walks():
    torch.set_num_threads(1)
    return clips(6, 1, 1, frames=5, points=24)


@pytest.fixture(scope="module")
def network(walks):
    torch.manual_seed(0)
    network = Mission(SMALL)
    network(*tensors(walks.points[:, 0], walks.mask[:, 0], walks.crops[:, 0]))  # norms get statistics
    for exchange in (network.to_radar, network.to_vision):
        torch.nn.init.ones_(exchange.norm.weight)
    return network.eval()


def embedded(network, points, mask, crops):
    with torch.no_grad():
        return network(*tensors(points, mask, crops))


@pytest.mark.parametrize("scope", ["frame", "sequence"])
def test_points_in_another_order_and_more_padding_change_nothing(walks, scope: str):
    torch.manual_seed(0)
    network = Mission(Shape(pixels=4, scope=scope)).eval()
    points, mask, crops = walks.points[:2, 0], walks.mask[:2, 0], walks.crops[:2, 0]
    plain = embedded(network, points, mask, crops)
    order = np.random.default_rng(0).permutation(24)
    moved = embedded(network, points[:, :, order], mask[:, :, order], crops)
    more = np.pad(points, ((0, 0), (0, 0), (0, 8), (0, 0)), constant_values=7.0)
    padded = embedded(network, more, np.pad(mask, ((0, 0), (0, 0), (0, 8))), crops)
    for k in (0, 1):
        assert torch.allclose(plain[k], moved[k], atol=1e-5)
        assert torch.allclose(plain[k], padded[k], atol=1e-5)


def test_the_exchange_starts_as_the_identity_and_its_rows_sum_to_one():
    torch.manual_seed(1)
    exchange = Exchange(Shape())
    own, other = torch.randn(2, 7, 256), torch.randn(2, 9, 256)
    own_mask, other_mask = torch.ones(2, 7), torch.ones(2, 9)
    other_mask[:, 5:] = 0
    assert torch.equal(exchange(own, own_mask, other, other_mask), own)
    for weights in exchange.weights(own, own_mask, other, other_mask):
        assert torch.allclose(weights.sum(dim=2), torch.ones(2, 7), atol=1e-6)
    assert not exchange.weights(own, own_mask, other, other_mask)[1][..., 5:].any()
    assert not attention(torch.zeros(2, 3), torch.zeros(2, 3)).any()


def test_losses_are_the_papers():
    zero, far = torch.zeros(4), torch.full((4,), 0.3)
    assert triplet_loss(zero, far) == 0
    assert triplet_loss(far, far) == pytest.approx(0.3)
    assert contrastive_loss(zero, far) == pytest.approx(0.0, abs=1e-9)
    poses = torch.zeros(1, 2, 24, 3)
    moved = poses.clone()
    moved[..., 0] = 0.1
    moved[:, :, [10, 11, 22, 23]] = 5.0  # feet and hands are not scored
    assert pose_loss(moved, poses) == pytest.approx(0.1)


def test_without_fusion_the_other_side_does_not_matter_and_with_it_it_does(walks, network):
    points, mask, crops = walks.points[:2, 0], walks.mask[:2, 0], walks.crops[:2, 0]
    alone = Mission(Shape(pixels=4, has_fusion=False)).eval()
    assert torch.equal(embedded(alone, points, mask, crops)[0], embedded(alone, points, mask, crops[::-1].copy())[0])
    assert not torch.allclose(
        embedded(network, points, mask, crops)[0], embedded(network, points, mask, crops[::-1].copy())[0], atol=1e-4
    )


def test_onnx_is_torch_and_tokens_can_be_cached(walks, network):
    pytest.importorskip("onnx")
    model = MissionModel(exported(network, frames=5, points=24))
    tokens = mission_pairs.encoded(network, walks)
    heard = model.heard(walks.points[0, 0], walks.mask[0, 0])
    seen = [model.seen(crops) for crops in walks.crops[:, 0]]
    assert heard == pytest.approx(tokens[0][0].numpy(), abs=1e-4)
    assert np.stack(seen) == pytest.approx(tokens[2].numpy(), abs=1e-4)
    honest = mission_pairs.honest(network, tokens)
    assert model.distances(heard, walks.mask[0, 0], seen) == pytest.approx(-honest[0], abs=1e-4)
    assert model.distances(heard, walks.mask[0, 0], []).shape == (0,)


def test_the_honest_score_of_a_pair_knows_no_partner(walks, network):
    tokens = mission_pairs.encoded(network, walks)
    honest = mission_pairs.honest(network, tokens)
    fewer = mission_pairs.honest(network, (tokens[0][:2], tokens[1][:2], tokens[2]))
    assert fewer == pytest.approx(honest[:2], abs=1e-5)


def test_resnet_gives_the_papers_map():
    with torch.no_grad():
        assert ResNetMap().eval()(torch.zeros(1, 1, 64, 64)).shape == (1, 1024, 4, 4)
    assert 8.4e6 < sum(p.numel() for p in ResNetMap().parameters()) < 8.7e6  # the first three of ResNet-50's stages


@pytest.mark.long
def test_sixteen_triplets_are_learnt_by_heart_and_the_published_loop_leaks():
    torch.set_num_threads(1)
    few = clips(16, 1, 2, frames=5, points=24)
    network = train(few, SMALL, Recipe(steps=150, rate=1e-3, batch=16))
    honest = mission_pairs.honest(network, mission_pairs.encoded(network, few))
    assert ranked(honest, 16, 1, 0).top() == 1.0
    others = clips(24, 1, 3, frames=5, points=24)
    tokens = mission_pairs.encoded(network, others)
    leaky = mission_pairs.leaky(network, tokens)
    assert ranked(leaky, 24, 1, 0).top() >= ranked(mission_pairs.honest(network, tokens), 24, 1, 0).top()
