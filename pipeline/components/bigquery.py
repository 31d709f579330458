"""BigQueryExampleGen is TFX's own: here is only how the config's words become its arguments."""

from __future__ import annotations

from tfx.dsl.components.base.base_component import BaseComponent

from pipeline.components.example_gen import output_config
from pipeline.data_config import BigQueryData


def example_gen(data: BigQueryData) -> BaseComponent:
    """Return TFX's component for a query.

    Raises:
      ImportError: google-cloud-bigquery is not installed.
    """
    # Takes seconds, and most pipelines read files.
    from tfx.extensions.google_cloud_big_query.example_gen.component import BigQueryExampleGen

    component = BigQueryExampleGen(query=data.query, output_config=output_config(data.split))
    given = {"project": data.project, "temp_location": data.temp_location}
    return component.with_beam_pipeline_args([f"--{name}={value}" for name, value in given.items() if value])
