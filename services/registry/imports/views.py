"""Shapes what an import answers over HTTP."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from services.runtime.lists import ERRORS_SHOWN_MAX


class RowError(BaseModel):
    """What is wrong with one cell; nothing of its content is repeated."""

    model_config = ConfigDict(frozen=True)

    row: int = Field(description="As a spreadsheet counts: the header is row 1.")
    column: str = Field(description="The column's name in the header.")
    code: str
    title: str = Field(description="What is wrong, in Chinese, for the clerk.")


class ImportReport(BaseModel):
    """What became of a file's rows: `rows = accepted + unchanged + refused`."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "dry_run": False,
                    "rows": 3,
                    "accepted": 1,
                    "unchanged": 1,
                    "refused": 1,
                    "errors": [
                        {
                            "row": 4,
                            "column": "证件号码",
                            "code": "id_number_check_digit",
                            "title": "证件号码校验位不符，请核对",
                        }
                    ],
                    "errors_left_off": 0,
                }
            ]
        },
    )

    dry_run: bool
    rows: int = Field(description="Rows below the header that are not empty.")
    accepted: int = Field(description="New or changed.")
    unchanged: int = Field(description="Known already, exactly so.")
    refused: int = Field(description="Not taken, for the errors named.")
    errors: Sequence[RowError]
    errors_left_off: int = Field(description=f"Errors beyond the first {ERRORS_SHOWN_MAX}.")
