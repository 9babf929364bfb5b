"""mmengine's visualizer without the cost of what a training does not draw."""
import types

import mmengine.visualization

__all__ = ["Visualizer"]


class Visualizer(mmengine.visualization.Visualizer):
    """Hands scalars, configs and images to its backends. The figure is made when something is drawn on an image.

    So matplotlib (30 MiB, and a good part of the time until the first step) is not imported by a training.
    """

    def _initialize_fig(self, fig_cfg):
        return None, types.SimpleNamespace(get_dpi=lambda: None), None

    closed = False

    def close(self):
        """Close the backends, once: mmengine's LoggerHook does it after the last epoch, the run however it ends."""
        if not self.closed:
            self.closed = True
            super().close()

    def set_image(self, image):
        if self.ax_save is None:
            self.fig_save_canvas, self.fig_save, self.ax_save = super()._initialize_fig(self.fig_save_cfg)
            self.dpi = self.fig_save.get_dpi()
        super().set_image(image)
