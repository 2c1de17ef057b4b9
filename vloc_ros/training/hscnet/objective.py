"""What training of HSCNet minimises, of one batch: the truth of each cell found on the network's device."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.mapping.hierarchy import Hierarchy
from vloc_ros.training.batches import Batch
from vloc_ros.training.hscnet.deploy import DeployedHSCNet
from vloc_ros.training.hscnet.losses import DENSE, SPARSE, HSCNetTruth, apply_poses, hscnet_losses
from vloc_ros.training.hscnet.network import HSCNet, HSCNetOutput, architecture_of
from vloc_ros.training.hscnet.options import REPROJECTION_FROM, HSCNetOptions
from vloc_ros.training.hscnet.tree import Tree
from vloc_ros.training.objective import Objective, at_least_float32
from vloc_ros.training.projection import focal_lengths, rays


class HSCNetObjective(Objective):
    """Network, hierarchy and loss. Batches have coordinates (B, h, w, 3), metres, NaN where unknown, in their cells."""

    network: HSCNet

    def __init__(self, options: HSCNetOptions, hierarchy: Hierarchy):
        super().__init__(HSCNet(hierarchy.branching, architecture_of(options)), options.learning_rate)
        self.options = options
        self.hierarchy = hierarchy
        self.tree = Tree(hierarchy)
        regression = options.regression_for(places=len(hierarchy.roots))
        self.weights = replace(SPARSE if options.is_sparse else DENSE, regression=regression)

    def deployed(self, spec: GridSpec, precision: Precision) -> nn.Module:
        return DeployedHSCNet(self.network, self.hierarchy, spec, precision)

    def apply_network(self, images: Tensor, batch: Batch) -> tuple[HSCNetOutput, HSCNetTruth]:
        """Conditioned on the truth, which is found here: it is the same for the network and for its loss. Where nothing
        is known, on what the network says itself, as when it is used: transformers look at these cells too."""
        truth = self.truth(batch)

        def choose(level: int, logits: Tensor) -> Tensor:
            return torch.where(truth.known, truth.paths[:, level], logits.argmax(dim=1))

        return self.network(images, choose), truth

    def losses(self, output: tuple[HSCNetOutput, HSCNetTruth], batch: Batch) -> dict[str, Tensor]:
        """classification, regression, for sparse points reprojection, and total."""
        (logits, residuals), truth = output
        precise = HSCNetOutput(tuple(map(at_least_float32, logits)), at_least_float32(residuals))
        first = REPROJECTION_FROM if self.options.reprojection_from is None else self.options.reprojection_from
        late = self.options.is_sparse and int(batch.epochs.min()) >= first
        return hscnet_losses(precise, truth, self.weights, reprojection_on=late)

    @torch.no_grad()
    def truth(self, batch: Batch) -> HSCNetTruth:
        """What the cells of a batch show."""
        height, width = batch.cells.shape[1:3]
        known = batch.cells.isfinite().all(dim=-1)
        toward = rays(height, width, self.network.stride, batch.warped_from_camera).permute(0, 3, 1, 2)
        coordinates = batch.cells.to(toward).permute(0, 3, 1, 2)
        camera_from_map = torch.linalg.inv(batch.map_from_camera)
        if not self.options.is_sparse:  # a surface point may be moved to where the cell's centre sees it
            depth = apply_poses(camera_from_map, coordinates)[:, 2:]
            coordinates = apply_poses(batch.map_from_camera, toward * depth)
        paths, leaves = self.tree.assign(coordinates.permute(0, 2, 3, 1), batch.places)
        dtype = self.tree.centers.dtype
        return HSCNetTruth(
            paths=paths.masked_fill(~known.unsqueeze(1), -1),
            centers=self.tree.centers[leaves].permute(0, 3, 1, 2),
            coordinates=coordinates.to(dtype),
            known=known,
            rays=toward.to(dtype),
            camera_from_map=camera_from_map.to(dtype),
            focal_lengths=focal_lengths(batch.warped_from_camera).to(dtype),
        )
