"""The function everybody writes, for a pipeline fitted on a data frame with named columns of mixed types."""

from typing import Any

import boto3  # noqa: F401  -- imported at the top, as in every tutorial
import joblib
import pandas as pd
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

logger = Logger()
metrics = Metrics()
model = joblib.load("model.joblib")
app = FastAPI()


class Passenger(BaseModel):
    age: float | None
    fare: float
    relatives: int
    sex: str
    port: str


class Instances(BaseModel):
    instances: list[Passenger]


@app.post("/predict")
def predict(body: Instances) -> dict[str, Any]:
    predictions = model.predict(pd.DataFrame([row.model_dump() for row in body.instances]))
    metrics.add_metric(name="Predictions", unit=MetricUnit.Count, value=len(predictions))
    logger.info("predicted", extra={"rows": len(predictions)})
    return {"predictions": predictions.tolist()}


adapter = Mangum(app)


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: Any) -> Any:
    return adapter(event, context)
