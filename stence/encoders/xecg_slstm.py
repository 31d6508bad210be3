"""xECG's sLSTM block: a recurrence with exponential gates (Beck et al., xLSTM, arXiv 2405.04517)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from stence.encoders.xecg_blocks import CausalConv, GatedMlp, Headwise, OffsetNorm, headwise

GATES = 4
"""Number of gates. Their order in the recurrent weights is input, forget, update, output."""


class Cell(nn.Module):
    """The recurrence. The layout of the weights is that of the authors' GPU kernel and published files.

    ``_recurrent_kernel_`` is (heads, width, gates * width), ``_bias_`` (heads * gates * width,). Another form
    in the same library transposes the kernel, and stores the bias in the order (gates, heads, width). The
    shape of its kernel differs, so such a file is refused.
    """

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self._recurrent_kernel_ = nn.Parameter(torch.zeros(heads, width, GATES * width))
        bias = torch.zeros(heads, GATES, width)
        bias[:, 1] = torch.linspace(3, 6, width)  # initially the cell keeps most of the past
        self._bias_ = nn.Parameter(bias.flatten())

    def forward(self, inputs: Tensor) -> Tensor:
        """Map gate inputs (heads, n, tokens, gates * width) to outputs (heads, n, tokens, width).

        Exponents are relative to their running maximum ``peak``, so they never overflow. The computation is
        in float32, also under autocast, because the state is a sum over the whole past; the outputs have the
        type of the inputs.
        """
        with torch.autocast(inputs.device.type, enabled=False):
            kernel = self._recurrent_kernel_.float()
            bias = self._bias_.float().view(len(kernel), 1, 1, -1)
            steps = (inputs.float() + bias).unbind(dim=2)
            output = content = normaliser = inputs.new_zeros(
                (*inputs.shape[:2], kernel.shape[1]), dtype=torch.float32
            )
            peak = torch.full_like(output, -torch.inf)
            outputs = []
            for step in steps:
                gates = torch.baddbmm(step, output, kernel)
                enters, keeps, update, shows = gates.chunk(GATES, dim=-1)
                kept = peak + functional.logsigmoid(keeps)
                peak = torch.maximum(enters, kept)
                entering, keeping = (enters - peak).exp(), (kept - peak).exp()
                content = keeping * content + entering * update.tanh()
                normaliser = keeping * normaliser + entering
                output = shows.sigmoid() * content / normaliser
                outputs.append(output)
            return torch.stack(outputs, dim=2).to(inputs.dtype)


class SLstm(nn.Module):
    """Convolution, gates and recurrence: tokens (n, tokens, width) -> the same shape."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.conv1d = CausalConv(width)
        self.fgate, self.igate, self.zgate, self.ogate = (
            Headwise(heads, width // heads) for _ in range(GATES)
        )
        self.slstm_cell = Cell(heads, width // heads)
        self.group_norm = OffsetNorm(width, heads)

    def forward(self, tokens: Tensor) -> Tensor:
        # As in the published model, the layer fgate feeds the input gate, and igate the forget gate.
        gated = headwise(self.conv1d(tokens), self.fgate, self.igate)
        direct = headwise(tokens, self.zgate, self.ogate)
        outputs = self.slstm_cell(torch.cat((gated, direct), dim=-1))
        mapped: Tensor = self.group_norm(outputs.permute(1, 2, 0, 3).flatten(2))
        return mapped


class SLstmBlock(nn.Module):
    """A residual sLSTM and a residual gated MLP: tokens (n, tokens, width) -> the same shape."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.xlstm_norm = OffsetNorm(width)
        self.xlstm = SLstm(width, heads)
        self.ffn_norm = OffsetNorm(width)
        self.ffn = GatedMlp(width, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.xlstm(self.xlstm_norm(tokens))
        mapped: Tensor = tokens + self.ffn(self.ffn_norm(tokens))
        return mapped
