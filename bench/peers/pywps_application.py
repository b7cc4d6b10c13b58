"""pywps as its deployment guide has it: a service of processes under a WSGI server, configured by $PYWPS_CFG."""

from pywps import ComplexInput, Format, LiteralInput, LiteralOutput, Process, Service

LITERALS = [
    'productionType',
    'productionName',
    'inputDataSetName',
    'minDate',
    'maxDate',
    'periodLength',
    'compositingPeriodLength',
    'regionWKT',
    'outputFormat',
    'calvalus.hadoop.mapreduce.job.queuename',
    'calvalus.hadoop.mapreduce.map.maxattempts',
    'calvalus.hadoop.mapreduce.map.failures.maxpercent',
    'calvalus.hadoop.mapreduce.map.memory.mb',
    'calvalus.hadoop.mapreduce.reduce.memory.mb',
    'calvalus.hadoop.mapreduce.task.timeout',
    'calvalus.system.snap.pixelGeoCoding.useTiling',
]


class Indices(Process):
    """Knows the inputs of execute.xml, because pywps stores only those, and does nothing."""

    def __init__(self):
        super().__init__(
            lambda request, response: response,
            identifier='timescan~1.0~Indices',
            title='Indices',
            inputs=[
                *(LiteralInput(name, name, data_type='string') for name in LITERALS),
                ComplexInput(
                    'spatioTemporalAggregationParameters',
                    'How results are put together',
                    supported_formats=[Format('text/xml')],
                ),
            ],
            outputs=[LiteralOutput('productionResults', 'Results', data_type='string')],
            store_supported=True,
            status_supported=True,
        )


application = Service([Indices()])
